#!/bin/sh
# server: perl-iosocket-fork   class: A   debian: perl-base
# shows: blocking accept, a child for each connection, SIGCHLD ignored
. "${0%/*}/lib/recipe.sh"

start() {
    cat >server.pl <<'END'
use IO::Socket::INET;
$SIG{CHLD} = "IGNORE";
my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ARGV[0], Listen => 16, ReuseAddr => 1)
    or die "cannot listen: $!";
while (my $client = $server->accept) {
    next if fork;
    close $server;
    print $client "perl $_" while <$client>;
    exit 0;
}
END
    exec perl server.pl "$port"
}

probe() {
    answers ping "perl ping"
}

recipe "$@"
