#!/bin/sh
# server: perl-httpdaemon   class: A   debian: libhttp-daemon-perl
# shows: names its address once a connection; keep-alive
. "${0%/*}/lib/recipe.sh"

start() {
    cat >server.pl <<'END'
use HTTP::Daemon;
use HTTP::Response;
my ($port, $page) = @ARGV;
my $server = HTTP::Daemon->new(LocalAddr => "127.0.0.1", LocalPort => $port, ReuseAddr => 1) or die "cannot listen: $!";
while (my $client = $server->accept) {
    while ($client->get_request) {
        $client->send_response(HTTP::Response->new(200, "OK", ["Content-Type", "text/plain"], $page));
    }
    $client->close;
}
END
    exec perl server.pl "$port" "$page"
}

probe() {
    http_serves ''
}

recipe "$@"
