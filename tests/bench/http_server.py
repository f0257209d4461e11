"""http_server.py PORT: a server as simple ones are: one client at a time, each read blocks."""
import socket
import sys

ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n"

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen(4096)
while True:
    client, _ = listener.accept()
    try:
        head = b""
        while b"\r\n\r\n" not in head:
            more = client.recv(4096)
            if not more:
                break
            head += more
        else:
            client.sendall(ANSWER)
    except OSError:
        pass
    client.close()
