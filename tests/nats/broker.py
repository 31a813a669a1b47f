"""Brokers in processes of their own, on the loopback interface, with JetStream in a directory of the test's."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BINARY = shutil.which("nats-server", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}") or "nats-server"


class Broker:
    """A broker."""

    def __init__(self, directory: Path, configuration: str = "", port: int = -1) -> None:
        self.directory = directory
        self.port = port
        self._configuration = configuration
        self.process: subprocess.Popen[str]
        self.start()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it is ready. A second time it has the same port."""
        file = self.directory / "broker.conf"
        file.write_text(
            f'listen: "127.0.0.1:{self.port}"\nserver_name: "{self.directory.name}"\n'
            f'jetstream: {{store_dir: "{self.directory}"}}\n{self._configuration}\n'
        )
        self.process = subprocess.Popen([BINARY, "-c", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        said = list[str]()
        for line in self.process.stderr:
            said.append(line)
            found = re.search(r"Listening for client connections on 127.0.0.1:(\d+)", line)
            if found is not None:
                self.port = int(found[1])
            if "Server is ready" in line:
                break
        else:
            raise AssertionError("".join(said))
        self._reading = threading.Thread(target=self.process.stderr.read)
        self._reading.start()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reading.join()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def restart(self) -> None:
        self.kill()
        self.start()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)  # on a busy machine it would go on for a moment

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def broker(directory: Path, configuration: str = "", port: int = -1) -> Iterator[Broker]:
    """A broker that is ready, and is killed in the end."""
    one = Broker(directory, configuration, port)
    try:
        yield one
    finally:
        one.kill()
