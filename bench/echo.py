"""A TCP server that sends back what it gets, and its client. One thread each, readiness by epoll."""
import select
import socket
import sys
import time


def serve(port):
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    listener.setblocking(False)
    poll, peers, waiting = select.epoll(), {}, {}
    poll.register(listener, select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                peer, _ = listener.accept()
                peer.setblocking(False)
                peers[peer.fileno()], waiting[peer.fileno()] = peer, b""
                poll.register(peer, select.EPOLLIN)
                continue
            peer = peers[fd]
            try:
                data = waiting[fd] or peer.recv(1 << 18)
                if not data:
                    raise ConnectionError
                sent = peer.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                poll.unregister(fd)
                peers.pop(fd).close()
                continue
            waiting[fd] = data[sent:]
            poll.modify(fd, select.EPOLLOUT if waiting[fd] else select.EPOLLIN)


def ask(port, connections, size, seconds):
    """Echoes done, seconds taken, connections that broke."""
    message, poll, state = b"x" * size, select.epoll(), {}
    for _ in range(connections):
        peer = socket.create_connection(("127.0.0.1", port))
        peer.setblocking(False)
        state[peer.fileno()] = [peer, 0, 0]
        poll.register(peer, select.EPOLLIN | select.EPOLLOUT)
    done, wrong, begun = 0, 0, time.monotonic()
    while time.monotonic() - begun < seconds and state:
        for fd, event in poll.poll(1):
            one = state[fd]
            peer, sent, got = one
            try:
                if event & select.EPOLLOUT and sent < size:
                    sent += peer.send(message[sent:])
                if event & select.EPOLLIN:
                    part = len(peer.recv(1 << 18))
                    got += part
                    if not part:
                        raise ConnectionError
            except BlockingIOError:
                pass
            except OSError:
                wrong += 1
                poll.unregister(fd)
                state.pop(fd)[0].close()
                continue
            if got == size:
                done, sent, got = done + 1, 0, 0
            one[1:] = sent, got
            poll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if sent < size else 0))
    return done, time.monotonic() - begun, wrong


if __name__ == "__main__":
    serve(int(sys.argv[1]))
