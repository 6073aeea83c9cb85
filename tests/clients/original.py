"""Python code for the worker contracts as they were first written: of our protos, only the fields below 100.

Used by worker.py and worker_client.py. Exit: 77 where a package is missing, 2 where no code could be made.
"""
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

APT = "apt-get install --no-install-recommends python3-grpcio python3-protobuf protobuf-compiler protobuf-compiler-grpc"
PIP = "pip install grpcio grpcio-tools"

try:
    import grpc  # noqa: F401
    import google.protobuf  # noqa: F401
except ImportError as error:
    print(f"{error}; needs `{APT}` (and /usr/bin/python3), or `{PIP}`", file=sys.stderr)
    sys.exit(77)

# A field with a number of three digits is an addition of ours. So are the services of other packages.
ADDITION = re.compile(r"^.*= 1\d\d;\n", re.MULTILINE)
FILES = ["stt_worker", "tts_worker"]


def contracts(protos):
    """The modules of `macaw.stt` and `macaw.tts`: ((pb, rpc), (pb, rpc))."""
    with tempfile.TemporaryDirectory() as folder:
        for name in FILES:
            with open(os.path.join(protos, "macaw", f"{name}.proto"), encoding="utf-8") as file:
                text = ADDITION.sub("", file.read())
            with open(os.path.join(folder, f"{name}.proto"), "w", encoding="utf-8") as file:
                file.write(text)
        generate(folder)
        sys.path.insert(0, folder)
        return [tuple(importlib.import_module(f"{name}_{kind}") for kind in ["pb2", "pb2_grpc"]) for name in FILES]


def generate(folder):
    arguments = [f"-I{folder}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    arguments += [f"{name}.proto" for name in FILES]
    ways = [[sys.executable, "-m", "grpc_tools.protoc"]]
    compiler, plugin = shutil.which("protoc"), shutil.which("grpc_python_plugin")
    if compiler and plugin:
        # First: starting another Python takes longer than all the rest.
        ways.insert(0, [compiler, f"--plugin=protoc-gen-grpc_python={plugin}"])
    problems = []
    for way in ways:
        done = subprocess.run(way + arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode == 0:
            return
        problems.append(done.stdout.strip())
    missing = len(ways) == 1 and "No module named" in problems[0]
    print(f"no code from the protos; needs `{APT}`, or `{PIP}`\n" + "\n".join(problems), file=sys.stderr)
    sys.exit(77 if missing else 2)
