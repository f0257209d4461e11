#!/bin/sh
# server: erlang   class: A   debian: erlang-base
# shows: one-shot epoll; eight options of the listener are copied to each connection
. "${0%/*}/lib/recipe.sh"

start() {
    cat >echo.erl <<'END'
-module(echo).
-export([main/1]).

main([Port]) ->
    {ok, Listener} = gen_tcp:listen(list_to_integer(Port),
        [binary, {packet, line}, {active, false}, {reuseaddr, true}, {ip, {127, 0, 0, 1}}]),
    serve(Listener).

serve(Listener) ->
    {ok, Client} = gen_tcp:accept(Listener),
    case gen_tcp:recv(Client, 0, 5000) of
        {ok, Line} -> gen_tcp:send(Client, ["erlang ", Line]);
        _ -> ok
    end,
    gen_tcp:close(Client),
    serve(Listener).
END
    erlc echo.erl || exit 1
    exec erl -noshell -run echo main "$port"
}

probe() {
    answers ping "erlang ping"
}

recipe "$@"
