"""The enlarged images of a hand-in, against the inputs that its manifest tells of and the run's records."""

from typing import Any

from sr_utils import images
from sr_utils.config import SCALE
from sr_utils.enlarging.outputs import read_manifest
from sr_utils.hand_in.folder import HandIn, sha256
from sr_utils.hand_in.rule import Rule, listed
from sr_utils.headers import read_header

_AGAIN = "Run 04 and 07 again."


def find_images(hand_in: HandIn) -> list[str]:
    """Names of what lies below images/."""
    return [name.removeprefix("images/") for name in hand_in.files if name.startswith("images/")]


def check_images(hand_in: HandIn, config: dict[str, Any]) -> list[Rule]:
    """Number, names, sizes and origin of the images; `config` is that of the checkpoint."""
    found, inputs, records = find_images(hand_in), hand_in.manifest["inputs"], read_manifest(hand_in.folder)
    wanted = config.get("test_images", "unknown")
    counts = {
        "manifest.json": hand_in.manifest.get("test_images"),
        "its inputs": len(inputs),
        "manifest.jsonl": len(records),
    }
    told = "".join(f"; {name}: {count}" for name, count in counts.items() if count != wanted)
    right = len(found) == wanted and not told
    wrong = sorted({f"{name}.png" for name in inputs} ^ set(found)) + sorted(inputs.keys() ^ records.keys())
    bad = [text for name in found if (text := _unlike(hand_in, name))]
    strange = [name for name in inputs if not _agrees(inputs[name], records.get(name, {}))]
    return [
        Rule("number of images", right, f"{len(found)} of {wanted}{told}", _AGAIN),
        Rule("names as the inputs", not wrong, listed(wrong, "all"), _AGAIN),
        Rule("each exactly ×4, 8-bit RGB PNG", not bad, listed(bad, "all"), _AGAIN),
        Rule("each made from its input (attested)", not strange, listed(strange, "all"), _AGAIN),
    ]


def _unlike(hand_in: HandIn, name: str) -> str:
    """What is wrong with an image; empty where it is as its input asks."""
    entry, path = hand_in.manifest["inputs"].get(name.removesuffix(".png")), hand_in.folder / "images" / name
    if entry is None:
        return ""  # its name is wrong, which another rule tells
    try:
        header = read_header(path)
        right = list(header[:2]) == [SCALE * side for side in entry["size"]] and not header.note
        if not right or path.read_bytes()[:4] != b"\x89PNG":
            return f"{name} {header.height}×{header.width} {header.note}"
        images.read_image(path)  # it may be cut short
    except (ValueError, OSError) as error:
        return str(error)
    return ""


def _agrees(entry: dict[str, Any], record: dict[str, Any]) -> bool:
    """Whether the record of an enlargement is of the input that the manifest tells of."""
    sizes = [entry["size"], [SCALE * side for side in entry["size"]]]
    return [record.get("lr"), record.get("sr")] == sizes and record.get("input_sha256") == entry["sha256"]


def check_origin(hand_in: HandIn, weights: str, ensemble: object) -> list[Rule]:
    """Whether every image is the one that these weights made, alone, by the records of `infer`."""
    records = read_manifest(hand_in.folder)
    hashes = {name: sha256(hand_in.folder / "images" / name) for name in find_images(hand_in)}
    made = {
        f"{name}.png": record["sha256"] for name, record in records.items() if record["weights"] == weights
    }
    alone = [record["ensemble"] is False for record in records.values()]
    same = sum(made.get(name) == digest for name, digest in hashes.items())
    return [
        Rule(
            "every image made by this checkpoint (attested)",
            made == hashes and same > 0,
            f"{same} of {len(hashes)}",
            _AGAIN,
        ),
        Rule(
            "no ensemble (attested)",
            ensemble is False and all(alone),
            f"weights: {ensemble}; images: {alone.count(False)}",
            "Run 04 again, without self-ensemble.",
        ),
    ]
