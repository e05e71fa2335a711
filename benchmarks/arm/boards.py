"""The two boards as programs see them: the processor that QEMU plays, and what /proc and /sys say of it.

The two must agree: the engines read the features of the processor from these files, and what the played one lacks ends
in an illegal instruction. Without them they would read the host's, and onnxruntime and LiteRT die of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CORES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A Raspberry Pi. ``cpu``: QEMU's name of its cores, never ``max``, which gave a wrong int8 answer.

    ``part``, ``variant``, ``revision`` and ``features`` are the lines of /proc/cpuinfo; sizes of caches in kB.
    """

    model: str
    cpu: str
    part: str
    variant: str
    revision: int
    features: str
    max_khz: int
    data_kb: int
    instruction_kb: int
    level_2_kb: int


BOARDS = {
    "pi4": Board(
        model="Raspberry Pi 4 Model B Rev 1.4",
        cpu="cortex-a72",
        part="0xd08",
        variant="0x0",
        revision=3,
        features="fp asimd evtstrm crc32 cpuid",
        max_khz=1_800_000,
        data_kb=32,
        instruction_kb=48,
        level_2_kb=1024,
    ),
    "pi5": Board(
        model="Raspberry Pi 5 Model B Rev 1.0",
        cpu="cortex-a76",
        part="0xd0b",
        variant="0x4",
        revision=1,
        features="fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
        max_khz=2_400_000,
        data_kb=64,
        instruction_kb=64,
        level_2_kb=512,
    ),
}


def lay(board: Board, root: Path) -> None:
    """Write the files of ``board`` under ``root``, where QEMU looks before it looks in the host's own tree."""
    for name, content in _files(board).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n", encoding="utf-8")


def _files(board: Board) -> dict[str, str]:
    everyone = f"0-{CORES - 1}"
    mask = f"{(1 << CORES) - 1:x}"
    cores = "".join(
        f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {board.features}\nCPU implementer\t: 0x41\n"
        f"CPU architecture: 8\nCPU variant\t: {board.variant}\nCPU part\t: {board.part}\n"
        f"CPU revision\t: {board.revision}\n\n"
        for core in range(CORES)
    )
    cpu = "sys/devices/system/cpu"
    files = {
        "proc/cpuinfo": f"{cores}Model\t\t: {board.model}",
        **{f"{cpu}/{name}": everyone for name in ("possible", "present", "online")},
        f"{cpu}/kernel_max": "255",
    }
    shared = ("core_siblings", "package_cpus", "cluster_cpus")
    for core in range(CORES):
        own = f"{cpu}/cpu{core}"
        topology = {
            "physical_package_id": "0",
            "cluster_id": "0",
            "core_id": f"{core}",
            "thread_siblings": f"{1 << core:x}",
            "thread_siblings_list": f"{core}",
            "core_cpus_list": f"{core}",
            **dict.fromkeys(shared, mask),
            **dict.fromkeys((f"{name}_list" for name in shared), everyone),
        }
        frequency = {
            "cpuinfo_max_freq": f"{board.max_khz}",
            "cpuinfo_min_freq": "600000",
            "scaling_cur_freq": f"{board.max_khz}",
            "scaling_governor": "ondemand",
        }
        files |= {f"{own}/topology/{name}": value for name, value in topology.items()}
        files |= {f"{own}/cpufreq/{name}": value for name, value in frequency.items()}
        caches = (
            (1, "Data", board.data_kb, f"{core}"),
            (1, "Instruction", board.instruction_kb, f"{core}"),
            (2, "Unified", board.level_2_kb, everyone),
        )
        for index, (level, kind, size_kb, users) in enumerate(caches):
            cache = {
                "level": f"{level}",
                "type": kind,
                "size": f"{size_kb}K",
                "shared_cpu_list": users,
                "coherency_line_size": "64",
                "ways_of_associativity": "2",
            }
            files |= {f"{own}/cache/index{index}/{name}": value for name, value in cache.items()}
    return files
