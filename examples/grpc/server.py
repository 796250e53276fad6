"""Greets, once or several times. A real service has generated code in place of the handlers."""

import concurrent.futures
import sys

import grpc


def greet(name, context):
    return b"Hello, " + name + b"!"


def greet_all(names, context):
    for name in names:
        yield b"Hello, " + name + b"!"


handlers = {
    "Greet": grpc.unary_unary_rpc_method_handler(greet),
    "GreetAll": grpc.stream_stream_rpc_method_handler(greet_all),
}
server = grpc.server(concurrent.futures.ThreadPoolExecutor())
service = grpc.method_handlers_generic_handler("example.Greeter", handlers)
server.add_generic_rpc_handlers((service,))
address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9001"
print("port", server.add_insecure_port(address), flush=True)
server.start()
server.wait_for_termination()
