#!/bin/sh
# server: fpc   class: D   debian: fp-compiler+fp-units-rtl
# shows: Free Pascal, which makes its system calls without libc
. "${0%/*}/lib/recipe.sh"

start() {
    cat >server.pas <<'END'
program server;
uses BaseUnix, Sockets, SysUtils;
var
  listener, client, one: longint;
  address: TInetSockAddr;
  page: string;
begin
  one := 1;
  page := ParamStr(2) + LineEnding;
  listener := fpSocket(AF_INET, SOCK_STREAM, 0);
  fpSetSockOpt(listener, SOL_SOCKET, SO_REUSEADDR, @one, SizeOf(one));
  FillChar(address, SizeOf(address), 0);
  address.sin_family := AF_INET;
  address.sin_port := htons(StrToInt(ParamStr(1)));
  address.sin_addr := StrToNetAddr('127.0.0.1');
  if (fpBind(listener, @address, SizeOf(address)) <> 0) or (fpListen(listener, 16) <> 0) then
    Halt(1);
  repeat
    client := fpAccept(listener, nil, nil);
    if client < 0 then
      continue;
    fpSend(client, @page[1], Length(page), 0);
    fpClose(client);
  until false;
end.
END
    fpc -v0 server.pas || exit 1
    exec ./server "$port" "$page"
}

probe() {
    [ "$(talk </dev/null)" = "$page" ]
}

recipe "$@"
