#!/bin/sh
# server: java-httpserver   class: A   debian: openjdk-17-jdk
# shows: an NIO selector; closes by dup2 over the listener
. "${0%/*}/lib/recipe.sh"

start() {
    cat >Server.java <<'END'
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;

public class Server {
    public static void main(String[] args) throws Exception {
        byte[] page = args[1].getBytes();
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 0);
        server.createContext("/", exchange -> {
            exchange.sendResponseHeaders(200, page.length);
            exchange.getResponseBody().write(page);
            exchange.close();
        });
        server.start();
    }
}
END
    exec java -Xmx64m -XX:TieredStopAtLevel=1 Server.java "$port" "$page"
}

probe() {
    http_serves ''
}

recipe "$@"
