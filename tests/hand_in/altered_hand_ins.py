"""What is done to a good hand-in: kind → (alteration of its folder, beginning of the rule that must fail)."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable

import cv2
import numpy as np
from hand_in_project import write_report
from PIL import Image
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, FloatObject, NameObject, NumberObject

from sr_utils import images
from sr_utils.checkpoints import load_checkpoint, save_weights
from sr_utils.hand_in import folder as hand_in_files
from sr_utils.networks import EDSR, MSRResNet


def edit_manifest(folder, change: Callable) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def edit_records(folder, change: Callable, only: str = "") -> None:
    """Change the records of all images, or of one; `change` returns what stays of it, or None."""
    lines = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    kept = []
    for record in map(json.loads, filter(None, lines)):
        kept.append(change(record) if only in ("", record["image"]) else record)
    text = "".join(json.dumps(record) + "\n" for record in kept if record is not None)
    (folder / "manifest.jsonl").write_text(text, encoding="utf-8")


def append(path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def edit_story(folder, network=None, without=(), **changes) -> None:
    model, story = load_checkpoint(folder / "checkpoint.safetensors")
    kept = {name: value for name, value in (story | changes).items() if name not in without}
    save_weights(folder / "checkpoint.safetensors", network or model, kept)


def edit_config(folder, **changes) -> None:
    _, story = load_checkpoint(folder / "checkpoint.safetensors")
    edit_story(folder, config=story["config"] | changes)


def scores_of(folder) -> dict[str, float]:
    return load_checkpoint(folder / "checkpoint.safetensors")[1]["val_psnr_rgb_border4"]


def sign(folder) -> None:
    """Forge the hashes of files, as whoever alters the rest can."""
    names = [name for name in hand_in_files.list_files(folder)[0] if name != "manifest.json"]
    files = {name: hand_in_files.sha256(folder / name) for name in names}
    edit_manifest(folder, lambda manifest: manifest.update(files=files))


def forge_count(folder) -> None:
    (folder / "images/test2.png").unlink()
    edit_records(folder, lambda record: None, "test2")
    edit_manifest(folder, lambda m: (m.update(test_images=2), m["inputs"].pop("test2")))
    sign(folder)


def forge_output(folder, name, change: Callable) -> None:
    path = folder / "images" / f"{name}.png"
    images.write_image(path, change(images.read_image(path)))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    edit_records(folder, lambda record: record | {"sha256": digest}, name)


def as_kind(mode, kind="PNG") -> Callable:
    def alter(folder):
        image = Image.open(folder / "images/test1.png").convert(mode)
        image.save(folder / "images/test1.png", kind)

    return alter


def as_16_bit(folder) -> None:
    path = str(folder / "images/test1.png")
    cv2.imwrite(path, cv2.imread(path).astype(np.uint16) * 257)


def two_frames(folder) -> None:
    image = Image.open(folder / "images/test1.png").copy()
    image.save(folder / "images/test1.png", save_all=True, append_images=[image.rotate(180)])


def swap(folder) -> None:
    one, other = (folder / f"images/test{number}.png" for number in (1, 2))
    one.rename(folder / "images/x"), other.rename(one), (folder / "images/x").rename(other)


def resized(change: Callable) -> Callable:
    return lambda f: images.write_image(
        f / "images/test1.png", np.ascontiguousarray(change(images.read_image(f / "images/test1.png")))
    )


def rename(folder, name, new) -> None:
    (folder / new).parent.mkdir(exist_ok=True)
    (folder / name).rename(folder / new)


def make_folder(folder) -> None:
    (folder / "images/test1.png").unlink(), (folder / "images/test1.png").mkdir()


def forge_size(folder) -> None:
    edit_manifest(folder, lambda m: m["inputs"]["test1"].update(size=[11, 16]))
    resized(lambda image: image[:44])(folder)


def rename_everywhere(folder) -> None:
    rename(folder, "images/test2.png", "images/x.png")
    edit_manifest(folder, lambda m: m["inputs"].update(x=m["inputs"].pop("test2")))


NUMBER, NAMES, EACH = "number of images", "names as the inputs", "each exactly ×4"
INPUT, MADE, AGAIN = "each made from its input", "every image made by this", "checkpoint reproduces"
IMAGES = {
    "image removed": (lambda f: (f / "images/test1.png").unlink(), NUMBER),
    "image removed, manifests and hashes forged": (forge_count, NUMBER),
    "count in manifest.json": (lambda f: edit_manifest(f, lambda m: m.update(test_images=2)), NUMBER),
    "count no number": (lambda f: edit_manifest(f, lambda m: m.update(test_images="3")), NUMBER),
    "record removed": (lambda f: edit_records(f, lambda record: None, "test1"), NUMBER),
    "no records": (lambda f: (f / "manifest.jsonl").unlink(), NUMBER),
    "no images": (lambda f: shutil.rmtree(f / "images"), NUMBER),
    "a folder for an image": (make_folder, NUMBER),
    "image added": (lambda f: shutil.copy(f / "images/test1.png", f / "images/x.png"), NUMBER),
    "renamed": (lambda f: rename(f, "images/test1.png", "images/x.png"), NAMES),
    "renamed, manifest.json forged": (rename_everywhere, NAMES),
    "upper case": (lambda f: rename(f, "images/test1.png", "images/TEST1.PNG"), NAMES),
    "nested": (lambda f: rename(f, "images/test1.png", "images/more/test1.png"), NAMES),
    "folder's name in upper case": (lambda f: rename(f, "images", "Images"), NAMES),
    "JPEG named PNG": (as_kind("RGB", "JPEG"), EACH),
    "grey": (as_kind("L"), EACH),
    "alpha": (as_kind("RGBA"), EACH),
    "palette": (as_kind("P"), EACH),
    "16 bits": (as_16_bit, EACH),
    "two frames": (two_frames, EACH),
    "one row short": (resized(lambda image: image[:-1]), EACH),
    "turned": (resized(lambda image: image.swapaxes(0, 1)), EACH),
    "not enlarged": (resized(lambda image: image[::4, ::4]), EACH),
    "cut short": (lambda f: os.truncate(f / "images/test1.png", 500), EACH),
    "empty": (lambda f: (f / "images/test1.png").write_bytes(b""), EACH),
    "text": (lambda f: (f / "images/test1.png").write_text("hello", encoding="utf-8"), EACH),
    "size in manifest.json and image": (forge_size, INPUT),
    "input's hash in manifest.json": (
        lambda f: edit_manifest(f, lambda m: m["inputs"]["test1"].update(sha256="0")),
        INPUT,
    ),
    "input's hash in the record": (
        lambda f: edit_records(f, lambda r: r | {"input_sha256": "0"}, "test1"),
        INPUT,
    ),
    "size in the record": (lambda f: edit_records(f, lambda r: r | {"lr": [11, 16]}, "test1"), INPUT),
    "two images exchanged": (swap, MADE),
    "a brighter image": (resized(lambda image: image | 8), MADE),
    "of other weights": (lambda f: edit_records(f, lambda r: r | {"weights": "0"}), MADE),
    "no images, no records": (lambda f: (shutil.rmtree(f / "images"), (f / "manifest.jsonl").unlink()), MADE),
    "sample's output forged": (lambda f: forge_output(f, "test0", lambda image: image ^ 4), AGAIN),
    "sample's output cropped": (lambda f: forge_output(f, "test0", lambda image: image[:-4]), AGAIN),
    "no sample": (lambda f: (f / "sample_LR.png").unlink(), AGAIN),
    "two samples": (lambda f: shutil.copy(f / "sample_LR.png", f / "sample_LR.tif"), AGAIN),
    "another sample": (lambda f: shutil.copy(f / "images/test0.png", f / "sample_LR.png"), AGAIN),
    "sample out of the folder": (lambda f: edit_manifest(f, lambda m: m.update(sample="../../x")), AGAIN),
    "an ensemble": (lambda f: edit_records(f, lambda r: r | {"ensemble": True}, "test2"), "no ensemble"),
    "an unknown ensemble": (lambda f: edit_records(f, lambda r: r | {"ensemble": None}), "no ensemble"),
    "record without its weights": (
        lambda f: edit_records(f, lambda r: r.pop("weights") and r),
        "records readable",
    ),
    "record that is a list": (
        lambda f: (f / "manifest.jsonl").write_text("[]\n", encoding="utf-8"),
        "number of images",
    ),
}

LOADS, STORY, PHOTOS = "checkpoint loads", "checkpoint's story agrees", "validation PSNR of each photo"
STORE, TRAINED = "trained on the named store", "trained under the challenge's"
CHECKPOINT = {
    "no checkpoint": (lambda f: (f / "checkpoint.safetensors").unlink(), LOADS),
    "no tensors": (lambda f: (f / "checkpoint.safetensors").write_bytes(b"no"), LOADS),
    "cut short": (lambda f: os.truncate(f / "checkpoint.safetensors", 10_000), LOADS),
    "impossible network": (lambda f: forge_arguments(f, features=-1), LOADS),
    "too many parameters": (lambda f: edit_story(f, MSRResNet(21)), "trainable parameters"),
    "ensemble of weights": (lambda f: edit_story(f, ensemble=True), "no ensemble"),
    "initial weights": (lambda f: edit_story(f, initial_weights={"step": 1}), "no initial weights"),
    "initial weights untold": (lambda f: edit_story(f, without=["initial_weights"]), "no initial weights"),
    "initial weights in the config alone": (lambda f: edit_config(f, initial_weights="x.pth"), STORY),
    "no config": (lambda f: edit_story(f, without=["config"]), TRAINED),
    "config that is a text": (lambda f: edit_story(f, config="demo"), "story readable"),
    "challenge off": (lambda f: edit_config(f, challenge=False), TRAINED),
    "challenge 1": (lambda f: edit_config(f, challenge=1), TRAINED),
    "another store": (lambda f: edit_story(f, data_fingerprint="0" * 64), STORE),
    "no store in both": (
        lambda f: (
            edit_story(f, without=["data_fingerprint"]),
            edit_manifest(f, lambda m: m.update(data_fingerprint="unknown")),
        ),
        STORE,
    ),
    "null in both": (
        lambda f: (
            edit_story(f, data_fingerprint=None),
            edit_manifest(f, lambda m: m.update(data_fingerprint=None)),
        ),
        STORE,
    ),
    "blocks": (lambda f: edit_config(f, num_blocks=2), STORY),
    "network": (lambda f: edit_config(f, network="carn"), STORY),
    "skip": (lambda f: edit_story(f, MSRResNet(1, bilinear_skip=False)), STORY),
    "EDSR of that many blocks": (lambda f: edit_story(f, EDSR(1)), STORY),
    "profile of the config": (lambda f: edit_config(f, profile="full"), STORY),
    "profile of manifest.json": (lambda f: edit_manifest(f, lambda m: m.update(profile="full")), STORY),
    "count of the config": (lambda f: edit_config(f, test_images=2), NUMBER),
    "average of none": (lambda f: edit_config(f, ema_decay=0.0), STORY),
    "weights of an unknown kind": (lambda f: edit_story(f, weights="soup"), STORY),
    "more steps than there were": (lambda f: edit_story(f, step=401), STORY),
    "steps as a text": (lambda f: edit_story(f, step="400"), STORY),
    "steps untold": (lambda f: edit_story(f, without=["step"]), STORY),
    "unknown field": (lambda f: edit_config(f, magic=1), STORY),
    "no PSNR": (lambda f: edit_story(f, val_psnr_rgb_border4={}), PHOTOS),
    "PSNR untold": (lambda f: edit_story(f, without=["val_psnr_rgb_border4"]), PHOTOS),
    "PSNR in a list": (lambda f: edit_story(f, val_psnr_rgb_border4=[27.0]), PHOTOS),
    **{
        f"PSNR of {value!r}": (
            lambda f, value=value: edit_story(f, val_psnr_rgb_border4=scores_of(f) | {"val0": value}),
            PHOTOS,
        )
        for value in (float("nan"), float("inf"), "27.0", None, True, -3.0)
    },
    "more photos than the config says": (lambda f: edit_config(f, validation_images=1), PHOTOS),
}


def forge_arguments(folder, **changes) -> None:
    model, story = load_checkpoint(folder / "checkpoint.safetensors")
    model.arguments = model.arguments | changes
    save_weights(folder / "checkpoint.safetensors", model, story)


BUILT, OWN = "source code as it was built", "source code as in the project"


def in_source(change: Callable, *, signed: bool = True) -> Callable:
    def alter(folder):
        change(folder / "source")
        if signed:
            sign(folder)

    return alter


def empty_modules(source) -> None:
    for path in (source / "sr_utils").glob("**/*.py"):
        path.write_bytes(b"")


def another_program(source) -> None:
    for number, path in enumerate((source / "sr_utils").glob("**/*.py")):
        path.rename(source / "sr_utils" / f"module{number}.py")


def edit_notebook(source) -> None:
    path = source / "notebooks/04_infer_test_set.ipynb"
    path.write_bytes(path.read_bytes().replace(b"super_resolve_folder", b"cheat"))


SOURCE = {
    "none": (in_source(shutil.rmtree), OWN),
    "modules emptied": (in_source(empty_modules), OWN),
    "another program's modules": (in_source(another_program), OWN),
    "no train.py": (in_source(lambda s: (s / "sr_utils/training/train.py").unlink()), OWN),
    "no networks": (in_source(lambda s: shutil.rmtree(s / "sr_utils/networks")), OWN),
    "no notebooks": (in_source(lambda s: shutil.rmtree(s / "notebooks")), OWN),
    "no requirements": (in_source(lambda s: (s / "requirements.txt").unlink()), OWN),
    "one module more": (in_source(lambda s: (s / "sr_utils/more.py").write_text("", encoding="utf-8")), OWN),
    "a hidden file": (in_source(lambda s: (s / ".secret").write_text("", encoding="utf-8")), OWN),
    "a cell of a notebook": (in_source(edit_notebook), OWN),
    "a notebook that is none": (
        in_source(lambda s: (s / "notebooks/03_train.ipynb").write_bytes(b"{}")),
        "source code readable",
    ),
    "changed since it was built": (
        in_source(lambda s: (s / "README.md").write_text("x", encoding="utf-8"), signed=False),
        BUILT,
    ),
    "not told of in manifest.json": (lambda f: edit_manifest(f, lambda m: m.update(files={})), BUILT),
}

OPENED, A4 = "report can be opened", "report of at most"
PARAMETERS_TOLD, PSNR_TOLD = "parameters in the report", "validation PSNR in the report"


def pdf_with(change: Callable) -> Callable:
    def alter(folder):
        writer = PdfWriter(clone_from=PdfReader(folder / "report.pdf"))
        change(writer)
        writer.write(folder / "report.pdf")

    return alter


def page_with(**entries) -> Callable:
    return pdf_with(lambda writer: set_entries(writer.pages[0], **entries))


def set_entries(page, **entries) -> None:
    for name, value in entries.items():
        value = ArrayObject(map(FloatObject, value)) if isinstance(value, tuple) else NumberObject(value)
        page[NameObject(f"/{name}")] = value


def encrypt_aes(folder) -> None:
    """As a program with AES would; pypdf alone cannot read that."""
    pdf_with(lambda writer: None)(folder)
    path = folder / "report.pdf"
    crypt = b"/Encrypt << /Filter /Standard /V 5 /R 6 /Length 256 /P -4 /StmF /StdCF /StrF /StdCF"
    crypt += b" /CF << /StdCF << /CFM /AESV3 /AuthEvent /DocOpen /Length 32 >> >>"
    for name, length in (("O", 48), ("U", 48), ("OE", 32), ("UE", 32), ("Perms", 16)):
        crypt += f" /{name} <{'00' * length}>".encode()
    crypt = b"trailer\n<< /ID [<00> <00>] " + crypt + b" >>"
    assert b"trailer\n<<" in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(b"trailer\n<<", crypt))


def told(text: str) -> Callable:
    return lambda f: write_report(f / "report.pdf", scores_of(f), text)


REPORT = {
    "no report": (lambda f: (f / "report.pdf").unlink(), OPENED),
    "no PDF": (lambda f: (f / "report.pdf").write_bytes(b"%PDF-1.7 no more"), "report readable"),
    "empty": (lambda f: (f / "report.pdf").write_bytes(b""), "report readable"),
    "encrypted by AES": (encrypt_aes, OPENED),
    "encrypted by RC4": (pdf_with(lambda w: w.encrypt("x", algorithm="RC4-128")), OPENED),
    "encrypted, no password": (pdf_with(lambda w: w.encrypt("", "x", algorithm="RC4-128")), OPENED),
    "six pages": (pdf_with(lambda w: [w.add_blank_page(595.3, 841.9) for _ in range(5)]), A4),
    "no page": (pdf_with(lambda w: w.remove_page(0)), A4),
    "A3": (page_with(MediaBox=(0, 0, 842, 1191)), A4),
    "US letter": (page_with(MediaBox=(0, 0, 612, 792)), A4),
    "larger by its origin": (page_with(MediaBox=(-600, -900, 595.3, 841.9)), A4),
    "larger by its unit": (page_with(UserUnit=2), A4),
    "smaller by its crop box": (page_with(CropBox=(0, 0, 300, 841.9)), A4),
    "one page of two": (pdf_with(lambda w: w.add_blank_page(842, 1191)), A4),
    "more digits before": (told("9{parameters} parameters, {mean} dB"), PARAMETERS_TOLD),
    "more groups before": (told("1,{parameters} parameters, {mean} dB"), PARAMETERS_TOLD),
    "more digits after": (told("{parameters}0 parameters, {mean} dB"), PARAMETERS_TOLD),
    "more groups after": (told("{parameters},000 parameters, {mean} dB"), PARAMETERS_TOLD),
    "no parameters": (told("{mean} dB"), PARAMETERS_TOLD),
    "no PSNR": (told("{parameters} parameters"), PSNR_TOLD),
    "PSNR with a digit before": (told("{parameters} parameters, 1{mean} dB"), PSNR_TOLD),
    "negative PSNR": (told("{parameters} parameters, -{mean} dB"), PSNR_TOLD),
    "PSNR with a digit after": (told("{parameters} parameters, {mean}9 dB"), PSNR_TOLD),
    "PSNR of another unit": (told("{parameters} parameters, {mean} m"), PSNR_TOLD),
}


def link(folder, name) -> None:
    """The same content, reached through a link out of the folder."""
    (folder / name).rename(folder.parent / "elsewhere")
    (folder / name).symlink_to(folder.parent / "elsewhere")


LINKS, OTHERS = "files and folders, no links", "nothing but a hand-in"
FILES = {
    **{
        f"{name} is a link": (lambda f, name=name: link(f, name), LINKS)
        for name in (
            "images",
            "source",
            "source/notebooks",
            "images/test1.png",
            "manifest.json",
            "manifest.jsonl",
            "report.pdf",
            "checkpoint.safetensors",
            "sample_LR.png",
        )
    },
    "a broken link": (lambda f: (f / "images/x.png").symlink_to("nowhere"), LINKS),
    "a link in a circle": (lambda f: (f / "images/x").symlink_to("."), LINKS),
    "a pipe": (lambda f: os.mkfifo(f / "images/x.png"), LINKS),
    "notes": (lambda f: (f / "notes.txt").write_text("mine", encoding="utf-8"), OTHERS),
    "a hidden file": (lambda f: (f / ".secret").write_text("x", encoding="utf-8"), OTHERS),
    "a hidden image": (lambda f: shutil.copy(f / "images/test1.png", f / "images/.x.png"), OTHERS),
    "a second report": (lambda f: shutil.copy(f / "report.pdf", f / "report2.pdf"), OTHERS),
}

ALTERATIONS = {
    f"{part}: {kind}": alteration
    for part, kinds in (
        ("images", IMAGES),
        ("checkpoint", CHECKPOINT),
        ("source", SOURCE),
        ("report", REPORT),
        ("files", FILES),
    )
    for kind, alteration in kinds.items()
}

TOLERATED = {
    "what systems leave behind": lambda f: [
        (f / place / name).write_bytes(b"x")
        for place in ("", "images", "source/sr_utils")
        for name in (".DS_Store", "Thumbs.db", "._test0.png")
    ],
    "compiled modules": lambda f: (
        (f / "source/sr_utils/__pycache__").mkdir(),
        (f / "source/sr_utils/__pycache__/x.pyc").write_bytes(b""),
    ),
    "A4 that begins elsewhere": page_with(MediaBox=(100, 100, 695.3, 941.9)),
    "A4 from its upper right corner": page_with(MediaBox=(595.3, 841.9, 0, 0)),
    "A4 on its side": page_with(MediaBox=(0, 0, 841.9, 595.3)),
    "A4 turned": page_with(Rotate=90),
    "A4 in a large crop box": page_with(CropBox=(-100, -100, 900, 900)),
    "A4 of another unit": page_with(MediaBox=(0, 0, 297.65, 420.95), UserUnit=2),
    "two pages": pdf_with(lambda w: w.add_blank_page(595.3, 841.9)),
    "numbers between commas and full stops": told("Parameters: {parameters}, PSNR: {mean} dB."),
    "half a line in the records": lambda f: append(f / "manifest.jsonl", '\n{"image": "te\n'),
    "an empty folder": lambda f: (f / "more").mkdir(),
    "a notebook's outputs and parameters": lambda f: run_notebook(f / "source/notebooks/03_train.ipynb"),
    "line endings of Windows": in_source(
        lambda s: (s / "README.md").write_bytes((s / "README.md").read_bytes().replace(b"\n", b"\r\n"))
    ),
}


def run_notebook(path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "done"}]
        if "parameters" in cell["metadata"].get("tags", []):
            cell["source"] = ['PROFILE = "full"']
    path.write_text(json.dumps(notebook), encoding="utf-8")
    sign(path.parents[2])


NO_HAND_IN = {
    "no manifest": lambda f: (f / "manifest.json").unlink(),
    "a list": lambda f: (f / "manifest.json").write_text("[]", encoding="utf-8"),
    "half of it": lambda f: os.truncate(f / "manifest.json", 200),
    "not UTF-8": lambda f: (f / "manifest.json").write_bytes(b"\xff\xfe"),
    "deep": lambda f: (f / "manifest.json").write_text("[" * 100_000, encoding="utf-8"),
    "no inputs": lambda f: edit_manifest(f, lambda m: m.pop("inputs")),
    "inputs in a list": lambda f: edit_manifest(f, lambda m: m.update(inputs=[])),
    "files in a list": lambda f: edit_manifest(f, lambda m: m.update(files=[])),
    "sample no text": lambda f: edit_manifest(f, lambda m: m.update(sample=["a"])),
    **{
        f"a size of {size}": lambda f, size=size: edit_manifest(
            f, lambda m: m["inputs"]["test1"].update(size=size)
        )
        for size in ([12], 12, ["12", "16"], [-12, 16], [float("nan"), 16], [1, float("inf")], [1.5, 16], 0)
    },
}
