"""A FastCGI server that answers each request with 1 KiB of text and keeps its connections. One thread, epoll.

php-fpm has a process per request: most of what a front then costs is waking them.
"""
import select
import socket
import struct
import sys

STDIN_END = b"\1\5\0\1\0\0\0\0"
HEAD = b"Content-Type: text/plain\r\nContent-Length: 1024\r\n\r\n"


def record(kind, content):
    return struct.pack(">BBHHBB", 1, kind, 1, len(content), 0, 0) + content


ANSWER = record(6, HEAD + b"x" * 1024) + record(6, b"") + record(3, bytes(8))


def serve(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1024)
    listener.setblocking(False)
    poll, peers = select.epoll(), {}
    poll.register(listener, select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                peer, _ = listener.accept()
                peers[peer.fileno()] = [peer, b""]
                poll.register(peer, select.EPOLLIN)
                continue
            one = peers[fd]
            try:
                data = one[0].recv(65536)
            except OSError:
                data = b""
            if not data:
                poll.unregister(fd)
                peers.pop(fd)[0].close()
                continue
            one[1] += data
            # A request without a body ends so, and no other follows before its answer.
            if one[1].endswith(STDIN_END):
                one[1] = b""
                one[0].sendall(ANSWER)


if __name__ == "__main__":
    serve(sys.argv[1])
