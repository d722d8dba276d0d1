"""Verifies with Python's `cryptography`, serves and dials with its ssl: a third opinion about
certificates of the mesh.

    verify ROOTS CHAIN                         prints the identity
    judge  DIRECTORY                           for each N.root.pem with N.leaf.pem: N and what is wrong, if anything
    serve  CERT KEY ROOTS URI                  prints its address, echoes to clients with that identity
    dial   ADDRESS CERT KEY ROOTS URI MESSAGE  prints what came back from a server with that identity
"""

import datetime
import pathlib
import socket
import ssl
import sys
import threading


def judge(directory):
    for root in sorted(pathlib.Path(directory).glob("*.root.pem")):
        name = root.name.removesuffix(".root.pem")
        try:
            identity_of(root, root.with_name(f"{name}.leaf.pem"))
            print(name)
        except Exception as why:
            print(name, repr(why).replace("\n", " "))


def verify(roots, chain):
    print(*identity_of(roots, chain))


def identity_of(roots, chain):
    from cryptography import x509
    from cryptography.x509.verification import PolicyBuilder, Store

    with open(roots, "rb") as file:
        store = Store(x509.load_pem_x509_certificates(file.read()))
    with open(chain, "rb") as file:
        leaf, *between = x509.load_pem_x509_certificates(file.read())
    now = datetime.datetime.now(datetime.timezone.utc)
    client = PolicyBuilder().store(store).time(now).build_client_verifier()
    client.verify(leaf, between)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def context(side, cert, key, roots):
    made = ssl.SSLContext(side)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(roots)
    made.load_cert_chain(cert, key)
    return made


def identity(stream, wanted):
    names = [value for kind, value in stream.getpeercert().get("subjectAltName", ()) if kind == "URI"]
    if names != [wanted]:
        raise SystemExit(f"identity {names}, wanted {wanted}")


def serve(cert, key, roots, uri):
    made = context(ssl.PROTOCOL_TLS_SERVER, cert, key, roots)
    listener = socket.create_server(("127.0.0.1", 0))
    print("%s:%d" % listener.getsockname(), flush=True)

    def echo(plain):
        with made.wrap_socket(plain, server_side=True) as stream:
            identity(stream, uri)
            while data := stream.recv(4096):
                stream.sendall(data)

    while True:
        plain, _ = listener.accept()
        threading.Thread(target=echo, args=(plain,), daemon=True).start()


def dial(address, cert, key, roots, uri, message):
    host, port = address.rsplit(":", 1)
    made = context(ssl.PROTOCOL_TLS_CLIENT, cert, key, roots)
    with socket.create_connection((host, int(port)), timeout=20) as plain:
        with made.wrap_socket(plain) as stream:
            identity(stream, uri)
            stream.sendall(message.encode())
            back = b""
            while len(back) < len(message):
                more = stream.recv(4096)
                if not more:
                    raise SystemExit("closed before all came back")
                back += more
            print(stream.version(), back.decode())


if __name__ == "__main__":
    {"verify": verify, "judge": judge, "serve": serve, "dial": dial}[sys.argv[1]](*sys.argv[2:])
