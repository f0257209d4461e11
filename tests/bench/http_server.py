"""http_server.py PORT: a server as simple ones are: one client at a time, each read blocks."""
import socket
import sys

ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n"


def app(_environ, start_response):
    """The same answer by gunicorn."""
    start_response("200 OK", [("Content-Length", "6")])
    return [b"hello\n"]


def serve(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(4096)
    while True:
        client, _ = listener.accept()
        try:
            answer(client)
        except OSError:
            pass
        client.close()


def answer(client):
    head = b""
    while b"\r\n\r\n" not in head:
        more = client.recv(4096)
        if not more:
            return
        head += more
    client.sendall(ANSWER)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
