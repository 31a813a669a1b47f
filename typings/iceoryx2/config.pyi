from iceoryx2 import FileName, Path

class Global:
    root_path: Path
    prefix: FileName

class Config:
    global_cfg: Global

def default() -> Config: ...
