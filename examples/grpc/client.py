"""Asks the server through quaich."""

import sys

import grpc

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8000"
channel = grpc.insecure_channel(address)
print(channel.unary_unary("/example.Greeter/Greet")(b"world", timeout=10).decode())
names = iter([b"Ada", b"Grace"])
for greeting in channel.stream_stream("/example.Greeter/GreetAll")(names, timeout=10):
    print(greeting.decode())
