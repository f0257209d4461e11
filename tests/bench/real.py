"""Real servers in their single-process form: one copy, four behind sshim, four behind HAProxy."""
import os

import sides

HTTP = b"GET /index.txt HTTP/1.0\r\n\r\n"
PROXY_HEADER = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\1\x12\x67\0\x50"  # as -p of the load program
TCL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tcl_server.tcl")

LIGHTTPD = """
server.document-root = "{folder}"
server.port = {port}
server.bind = "127.0.0.1"
server.max-connections = 2048
server.max-fds = 4096
server.listen-backlog = 4096
mimetype.assign = ( ".txt" => "text/plain" )
"""

NGINX = """
daemon off; master_process off; pid {folder}/pid-{port}; error_log {folder}/log;
events {{ worker_connections 2048; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}; }}
}}
"""


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def python_command(folder, port):
    return ["python3", "-m", "http.server", "-d", folder, "--bind", "127.0.0.1", port]


def lighttpd_command(folder, port):
    return ["lighttpd", "-D", "-f", write(folder, f"lighttpd-{port}", LIGHTTPD.format(folder=folder, port=port))]


def nginx_command(folder, port):
    return ["nginx", "-c", write(folder, f"nginx-{port}", NGINX.format(folder=folder, port=port))]


def tcl_command(_folder, port):
    return ["tclsh", TCL, port]


def prepared(side, command):
    write(side.folder.name, "index.txt", "hello\n")
    return lambda port: command(side.folder.name, port)


def make_sides(command, request):
    """Of one kind of server; command(folder, port) starts a copy."""
    def start_one(side):
        side.spawn(*prepared(side, command)(side.port))

    def start_haproxy(side):
        sides.start_haproxy(side, None, 4, "leastconn", 0, prepared(side, command))

    def start_sshim(program):
        return lambda side: sides.start_sshim(side, program, prepared(side, command)(side.port), 4, ["--handoff", "auto"])

    ours = sides.Side("sshim auto", start_sshim(sides.SSHIM), request)
    if sides.BASE:
        ours.before = sides.Side("before: sshim auto", start_sshim(sides.BASE), request)
    return [sides.Side("one copy", start_one, request), ours,
            sides.Side("HAProxy leastconn", start_haproxy, request)]
