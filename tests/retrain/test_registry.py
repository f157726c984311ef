from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.errors import ShopmonError
from monitor.run_folder import PARTIAL
from retrain import registry as registry_module
from retrain.records import write
from retrain.registry import CHAMPION, LINEAGE, Registered, Registry, weights_sha256
from retrain.results import BaseUsed, Gate, GateCheck, TrainingResult

FIRST, SECOND, THIRD = "20261120-100000-aaaaaa", "20261121-100000-bbbbbb", "20261122-100000-cccccc"
PASSED = Gate((GateCheck("unwanted_mass", "unwanted words", 0.01, 0.02, True, None),))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / ".shopmon" / "models", wait_seconds=30)


def fill(folder: Path, model_id: str, task: str = "mlm", *, gate: Gate = PASSED) -> None:
    """What a training leaves in a model's folder, as far as the registry asks for it."""
    (folder / "model.safetensors").write_bytes(f"weights of {model_id}".encode())
    sha256 = weights_sha256(folder)
    write(
        TrainingResult(model_id=model_id, task=task, base=BaseUsed("b", ""), gate=gate, weights_sha256=sha256), folder
    )


def add(registry: Registry, *model_ids: str, task: str = "mlm", **of: Any) -> None:
    for model_id in model_ids:
        with registry.adding(task, model_id) as folder:
            fill(folder, model_id, task, **of)


def promote(registry: Registry, *model_ids: str) -> None:
    for model_id in model_ids:
        registry.promote(model_id, by="gate", reason="better")


def champion_of(registry: Registry, task: str = "mlm") -> str | None:
    champion = registry.champion(task)
    return champion.model_id if champion else None


def changes(registry: Registry) -> list[tuple[str | None, str | None, str]]:
    return [(event.model_id, event.before, event.by) for event in registry.history("mlm")]


# Adding and finding


def test_a_registry_without_a_folder_is_empty(registry: Registry) -> None:
    assert registry.models() == registry.models("mlm") == registry.damaged() == registry.history("mlm") == ()
    assert registry.champion("mlm") is None
    assert not registry.folder.exists()


def test_a_model_is_found_as_it_was_added(registry: Registry) -> None:
    add(registry, FIRST)
    found = registry.get(FIRST)
    assert found == registry.models("mlm")[0] == registry.models()[0]
    assert (found.task, found.model_id, found.folder) == ("mlm", FIRST, registry.folder / "mlm" / FIRST)
    assert found.created == "2026-11-20T10:00:00+00:00"
    assert found.gate_passed
    assert not found.is_champion
    assert found.document["model_id"] == FIRST


def test_a_failed_gate_is_known(registry: Registry) -> None:
    add(registry, FIRST, gate=Gate((GateCheck("unwanted_mass", "unwanted words", 0.5, 0.02, True, None),)))
    assert not registry.get(FIRST).gate_passed


def test_the_newest_model_is_the_first(registry: Registry) -> None:
    add(registry, SECOND, THIRD, FIRST)
    assert [model.model_id for model in registry.models()] == [THIRD, SECOND, FIRST]


def test_a_model_whose_name_tells_no_time_was_made_when_its_record_was_written(registry: Registry) -> None:
    add(registry, "by-hand")
    os.utime(registry.folder / "mlm" / "by-hand" / "training.json", (86_400, 86_400))
    assert registry.get("by-hand").created == "1970-01-02T00:00:00+00:00"


def test_a_block_that_raises_leaves_no_model(registry: Registry) -> None:
    def fail(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"), registry.adding("mlm", FIRST) as folder:
        fail(folder)
    assert [path.name for path in (registry.folder / "mlm").iterdir()] == ["lock"]
    add(registry, FIRST)


def test_a_model_is_added_once(registry: Registry) -> None:
    add(registry, FIRST)
    with pytest.raises(ShopmonError, match="is there already"):
        add(registry, FIRST)
    registry.verify(registry.get(FIRST))


def test_an_unfinished_model_is_no_model(registry: Registry) -> None:
    with registry.adding("mlm", FIRST) as folder:
        fill(folder, FIRST)
        assert registry.models() == registry.damaged() == ()
        with pytest.raises(ShopmonError, match="holds none yet"):
            registry.get(FIRST)


def test_what_is_being_added_keeps_nobody_from_promoting_or_adding(registry: Registry) -> None:
    add(registry, FIRST)
    with registry.adding("mlm", SECOND) as folder:
        fill(folder, SECOND)
        promote(registry, FIRST)
        add(registry, THIRD)
    assert champion_of(registry) == FIRST
    assert len(registry.models()) == 3


def test_what_a_killed_process_left_does_not_keep_its_model_from_being_added(registry: Registry) -> None:
    left = registry.folder / "mlm" / f"{PARTIAL}{FIRST}"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"half")
    add(registry, FIRST)
    registry.verify(registry.get(FIRST))


@pytest.mark.parametrize("task", ["", "..", ".hidden", "a/b", "/etc", "a\0b"])
def test_a_task_is_a_plain_name(registry: Registry, task: str) -> None:
    add(registry, FIRST)
    for ask in (registry.models, registry.champion, registry.history, registry.rollback, registry.damaged):
        with pytest.raises(ShopmonError, match="is no task"):
            ask(task)
    with pytest.raises(ShopmonError, match="is no task"), registry.adding(task, FIRST):
        pass


# Ids


def test_the_beginning_of_an_id_is_enough(registry: Registry) -> None:
    add(registry, FIRST, SECOND)
    assert registry.get("20261120").model_id == FIRST


def test_an_id_that_begins_another_is_found(registry: Registry) -> None:
    add(registry, "nike", "nike-2")
    assert registry.get("nike").model_id == "nike"


def test_several_that_begin_so_are_named(registry: Registry) -> None:
    add(registry, FIRST, SECOND)
    with pytest.raises(ShopmonError, match=rf"several models begin with '202611': {FIRST} \(mlm\), {SECOND} \(mlm\)"):
        registry.get("202611")


def test_an_unknown_id_is_told_with_near_ones(registry: Registry) -> None:
    add(registry, FIRST, SECOND)
    with pytest.raises(ShopmonError, match=rf"there is no model '20261120-100000-aaaaab' in .*; near it: {FIRST}"):
        registry.get("20261120-100000-aaaaab")
    with pytest.raises(ShopmonError, match=f"the newest: {SECOND}, {FIRST}"):
        registry.get("xyz")


@pytest.mark.parametrize("wanted", ["", "..", "../mlm", "/", ".", PARTIAL, "lock", CHAMPION])
def test_what_is_no_id_finds_nothing(registry: Registry, wanted: str) -> None:
    add(registry, FIRST)
    promote(registry, FIRST)
    with pytest.raises(ShopmonError, match="there is no model"):
        registry.get(wanted)


def test_the_same_id_in_two_tasks_needs_the_task(registry: Registry) -> None:
    add(registry, FIRST)
    add(registry, FIRST, task="nli")
    with pytest.raises(ShopmonError, match=r"several models are called .* Give the task, too"):
        registry.promote(FIRST, by="person")
    assert registry.promote(FIRST, task="nli", by="person").model_id == FIRST
    assert champion_of(registry) is None
    assert champion_of(registry, "nli") == FIRST
    assert len(registry.models()) == 2
    assert len(registry.models("nli")) == 1


# Champions


def test_a_promoted_model_is_champion(registry: Registry) -> None:
    add(registry, FIRST, SECOND)
    event = registry.promote("20261120", by="person", reason="I like it")
    assert (event.model_id, event.before, event.by, event.reason) == (FIRST, None, "person", "I like it")
    assert registry.champion("mlm") == registry.get(FIRST)
    assert [model.is_champion for model in registry.models()] == [False, True]
    assert registry.history("mlm") == (event,)
    assert registry.promote(SECOND, by="gate").before == FIRST
    assert champion_of(registry) == SECOND


def test_champion_json_says_it_to_others_too(registry: Registry) -> None:
    add(registry, FIRST)
    event = registry.promote(FIRST, by="person", reason="für „Nike“ \udce9")
    told = json.loads((registry.folder / "mlm" / CHAMPION).read_bytes())
    assert told["champion"] == FIRST
    assert told["history"] == [
        {"at": event.at, "model_id": FIRST, "before": None, "by": "person", "reason": "für „Nike“ \udce9"}
    ]


def test_who_is_champion_already_is_not_promoted_again(registry: Registry) -> None:
    add(registry, FIRST)
    event = registry.promote(FIRST, by="gate", reason="better")
    assert registry.promote(FIRST, by="person", reason="again") == event
    assert registry.history("mlm") == (event,)


@pytest.mark.parametrize("by", ["rollback", "me", ""])
def test_only_gate_and_persons_promote(registry: Registry, by: str) -> None:
    add(registry, FIRST)
    with pytest.raises(ValueError, match="is promoted by"):
        registry.promote(FIRST, by=by)


def test_an_unknown_model_is_not_promoted(registry: Registry) -> None:
    add(registry, FIRST)
    with pytest.raises(ShopmonError, match="there is no model 'x'"):
        registry.promote("x", by="person")
    assert champion_of(registry) is None


def test_a_model_with_other_weights_is_not_promoted(registry: Registry) -> None:
    add(registry, FIRST)
    (registry.folder / "mlm" / FIRST / "model.safetensors").write_bytes(b"others")
    with pytest.raises(ShopmonError, match="are not those that were trained"):
        registry.promote(FIRST, by="person")
    assert registry.history("mlm") == ()


def test_rollbacks_go_back_one_after_the_other(registry: Registry) -> None:
    add(registry, FIRST, SECOND, THIRD)
    promote(registry, FIRST, SECOND, THIRD)
    went = [registry.rollback("mlm").model_id for _ in range(3)]
    assert went == [SECOND, FIRST, None]
    assert champion_of(registry) is None
    assert changes(registry)[3:] == [
        (SECOND, THIRD, "rollback"),
        (FIRST, SECOND, "rollback"),
        (None, FIRST, "rollback"),
    ]
    with pytest.raises(ShopmonError, match="there is no champion of mlm"):
        registry.rollback("mlm")


def test_what_was_rolled_back_is_not_gone_back_to(registry: Registry) -> None:
    add(registry, FIRST, SECOND, THIRD)
    promote(registry, FIRST, SECOND)
    registry.rollback("mlm")
    promote(registry, THIRD)
    assert registry.rollback("mlm").model_id == FIRST


def test_a_champion_that_came_back_is_rolled_back_to_who_was_between(registry: Registry) -> None:
    add(registry, FIRST, SECOND)
    promote(registry, FIRST, SECOND, FIRST)
    assert [registry.rollback("mlm").model_id for _ in range(3)] == [SECOND, FIRST, None]


def test_without_a_champion_nothing_is_rolled_back(registry: Registry) -> None:
    with pytest.raises(ShopmonError, match="nothing to go back from"):
        registry.rollback("mlm")
    assert not registry.folder.exists()
    add(registry, FIRST)
    with pytest.raises(ShopmonError, match="nothing to go back from"):
        registry.rollback("mlm")


def gone(folder: Path) -> None:
    shutil.rmtree(folder)


def unrecorded(folder: Path) -> None:
    (folder / "training.json").write_bytes(b'{"schema_version": 1, ')


def weightless(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize("harm", [gone, unrecorded, weightless])
def test_a_champion_that_cannot_be_used_is_told_with_the_way_out(
    registry: Registry, harm: Callable[[Path], None]
) -> None:
    add(registry, FIRST, SECOND)
    promote(registry, FIRST, SECOND)
    harm(registry.folder / "mlm" / SECOND)
    with pytest.raises(ShopmonError, match=f"the champion {SECOND} of mlm cannot be used: .*shopmon models rollback"):
        registry.champion("mlm")
    assert [model.model_id for model in registry.models()] == [FIRST]
    assert registry.rollback("mlm").model_id == FIRST
    assert champion_of(registry) == FIRST


def otherwise(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"others")


@pytest.mark.parametrize("harm", [gone, unrecorded, weightless, otherwise])
def test_a_rollback_passes_over_who_cannot_be_used(registry: Registry, harm: Callable[[Path], None]) -> None:
    add(registry, FIRST, SECOND, THIRD)
    promote(registry, FIRST, SECOND, THIRD)
    harm(registry.folder / "mlm" / SECOND)
    event = registry.rollback("mlm")
    assert event.model_id == FIRST
    assert f"passed over {SECOND}: " in event.reason
    assert registry.rollback("mlm").model_id is None


def test_the_first_champion_is_rolled_back_even_if_it_is_gone(registry: Registry) -> None:
    add(registry, FIRST)
    promote(registry, FIRST)
    gone(registry.folder / "mlm" / FIRST)
    assert registry.rollback("mlm").model_id is None
    assert registry.champion("mlm") is None


# Damage


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "Expecting value"),
        (b'{"schema_version": 1, "champion": ', "Expecting value"),
        (b'{"champion": "\xff"}', "decode"),
        (b"[]", "it is no record of champions"),
        (b"null", "it is no record of champions"),
        (b'{"schema_version": 1}', "it is no record of champions"),
        (b'{"schema_version": 1, "champion": null, "history": 3}', "it is no record of champions"),
        (b'{"schema_version": 1, "champion": null, "history": [{"at": "x"}]}', "it is no record of champions"),
        (b'{"schema_version": 2, "champion": null, "history": []}', "its format is 2, and this shopmon reads 1"),
        (b'{"schema_version": 1, "champion": "x", "history": []}', "names 'x' as champion, and its history None"),
        (b"[" * 100_000, "it is no record of champions"),
    ],
)
def test_a_damaged_champion_file_is_told(registry: Registry, content: bytes, says: str) -> None:
    add(registry, FIRST)
    file = registry.folder / "mlm" / CHAMPION
    file.write_bytes(content)
    asked: list[Callable[[], object]] = [
        lambda: registry.champion("mlm"),
        lambda: registry.models(),
        lambda: registry.get(FIRST),
        lambda: registry.promote(FIRST, by="person"),
        lambda: registry.rollback("mlm"),
    ]
    for ask in asked:
        with pytest.raises(ShopmonError, match=rf"{re.escape(str(file))} is damaged: .*{says}.*move it away"):
            ask()
    assert file.read_bytes() == content
    file.unlink()  # the way out that was told
    promote(registry, FIRST)
    assert champion_of(registry) == FIRST


@pytest.mark.parametrize(
    "event",
    [
        {"model_id": "../../etc"},
        {"model_id": ".hidden"},
        {"model_id": ""},
        {"model_id": 3},
        {"before": SECOND},
        {"by": "nobody"},
        {"at": None},
        {"reason": []},
        {"more": 1},
    ],
)
def test_an_event_that_cannot_have_been_is_told(registry: Registry, event: dict[str, object]) -> None:
    add(registry, FIRST)
    promote(registry, FIRST)
    file = registry.folder / "mlm" / CHAMPION
    told = json.loads(file.read_bytes())
    told["history"][0].update(event)
    told["champion"] = told["history"][0]["model_id"]
    file.write_text(json.dumps(told))
    with pytest.raises(ShopmonError, match="is damaged: "):
        registry.champion("mlm")


def test_a_damaged_model_is_left_out_with_a_warning(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    add(registry, FIRST, SECOND, THIRD)
    unrecorded(registry.folder / "mlm" / SECOND)
    (registry.folder / "mlm" / "notes").mkdir()
    with caplog.at_level(logging.WARNING):
        assert [model.model_id for model in registry.models()] == [THIRD, FIRST]
    assert f"the model {SECOND} is left out" in caplog.text
    damaged = registry.damaged("mlm")
    assert [(one.task, one.model_id) for one in damaged] == [("mlm", SECOND), ("mlm", "notes")]
    assert "training.json is damaged" in damaged[0].why
    assert "has no training.json" in damaged[1].why
    with pytest.raises(ShopmonError, match=r"training\.json is damaged"):
        registry.get(SECOND)


@pytest.mark.parametrize("copy", [("mlm", SECOND), ("nli", FIRST)])
def test_a_folder_under_another_models_name_is_told(registry: Registry, copy: tuple[str, str]) -> None:
    add(registry, FIRST)
    shutil.copytree(registry.folder / "mlm" / FIRST, registry.folder.joinpath(*copy))
    with pytest.raises(ShopmonError, match=f"is of another model: mlm/{FIRST}"):
        registry.get(copy[1], copy[0])


# Weights and lineage


def test_weights_are_held_against_their_checksum(registry: Registry) -> None:
    add(registry, FIRST)
    model = registry.get(FIRST)
    registry.verify(model)
    weights = model.folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + b"?")
    with pytest.raises(ShopmonError, match=r"are not those that were trained: their SHA-256 is \w{12}…, and training"):
        registry.verify(model)
    weights.unlink()
    with pytest.raises(ShopmonError, match="are not those that were trained"):
        registry.verify(model)


def test_a_model_without_a_checksum_is_no_verified_one(registry: Registry) -> None:
    with registry.adding("mlm", FIRST) as folder:
        (folder / "model.safetensors").write_bytes(b"weights")
        write(TrainingResult(model_id=FIRST, task="mlm", base=BaseUsed("b", "")), folder)
    with pytest.raises(ShopmonError, match=r"training\.json says none"):
        registry.verify(registry.get(FIRST))


def test_every_row_of_a_training_is_found_again(registry: Registry) -> None:
    rows = pa.table({"text_hash": ["aa"], "reasons": [["cheap"]], "file": ["new.csv"], "row": [7], "use": ["train"]})
    with registry.adding("mlm", FIRST) as folder:
        fill(folder, FIRST)
        pq.write_table(rows, folder / LINEAGE)
    assert registry.lineage("20261120").equals(rows)


def test_a_lineage_that_is_missing_or_damaged_is_told(registry: Registry) -> None:
    add(registry, FIRST)
    file = registry.folder / "mlm" / FIRST / LINEAGE
    with pytest.raises(ShopmonError, match=r"lineage\.parquet is missing"):
        registry.lineage(FIRST)
    file.write_bytes(b"PAR1 no parquet PAR1")
    with pytest.raises(ShopmonError, match=r"lineage\.parquet cannot be read"):
        registry.lineage(FIRST)


def test_nothing_here_needs_torch() -> None:
    code = (
        "import sys, retrain.registry, retrain.records, retrain.model_card\n"
        "print([name for name in ('torch', 'transformers', 'datasets') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment())
    assert told.stdout == "[]\n"


# Locks, several processes, and kills


def test_who_waits_too_long_for_the_lock_is_told(registry: Registry) -> None:
    add(registry, FIRST)
    hasty = Registry(registry.folder, wait_seconds=0.1)
    with (registry.folder / "mlm" / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ShopmonError, match=r"another process is changing .*within 0\.1 seconds"):
            promote(hasty, FIRST)
        assert champion_of(hasty) is None  # nobody needs the lock to read
    promote(hasty, FIRST)


def test_a_promotion_waits_for_the_lock(registry: Registry) -> None:
    add(registry, FIRST)
    with (registry.folder / "mlm" / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = threading.Thread(target=promote, args=(registry, FIRST))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        fcntl.flock(lock, fcntl.LOCK_UN)
        waiting.join(30)
    assert champion_of(registry) == FIRST


def test_a_file_in_the_folders_place_is_told(registry: Registry) -> None:
    registry.folder.mkdir(parents=True)
    (registry.folder / "mlm").write_text("not a folder")
    with pytest.raises(ShopmonError, match="cannot be"):
        registry.models("mlm")
    with pytest.raises(ShopmonError, match="cannot be written: File exists"), registry.adding("mlm", FIRST):
        pass


def test_a_full_disk_leaves_the_champion_that_was(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    add(registry, FIRST, SECOND)
    promote(registry, FIRST)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ShopmonError, match="the disk is full"):
        promote(registry, SECOND)
    with pytest.raises(ShopmonError, match="the disk is full"):
        add(registry, THIRD)
    monkeypatch.undo()
    assert champion_of(registry) == FIRST
    assert len(registry.models()) == 2
    assert not list((registry.folder / "mlm").glob(f"{PARTIAL}*"))


CHILD = """
import os, signal, sys
from pathlib import Path
from retrain.registry import Registry

folder, kill_at, task, *names = sys.argv[1:]
calls = 0

def deadly(call):
    def counted(*arguments, **named):
        global calls
        calls += 1
        if calls == int(kill_at):  # before it happens
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **named)
    return counted

registry = Registry(Path(folder), wait_seconds=120)
print("ready", flush=True)
sys.stdin.readline()
os.fsync, os.replace, os.open, os.rename = map(deadly, (os.fsync, os.replace, os.open, os.rename))
for name in names:
    registry.promote(name, task=task, by="person", reason=str(os.getpid()))
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def child(registry: Registry, *names: str, kill_at: int = 0, code: str = CHILD) -> subprocess.Popen[str]:
    """A process that has everything imported, and starts once it reads a line."""
    command = [sys.executable, "-c", code, str(registry.folder), str(kill_at), "mlm", *names]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment())
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def end(process: subprocess.Popen[str]) -> int:
    with suppress(BrokenPipeError):
        process.communicate(timeout=120)
    return process.returncode


def test_two_processes_that_promote_at_once_lose_no_event(registry: Registry) -> None:
    mine, others = ("a1", "a2"), ("b1", "b2")
    add(registry, *mine, *others)
    times = 20
    both = [child(registry, *mine * times), child(registry, *others * times)]
    go(*both)
    assert [end(process) for process in both] == [0, 0]
    history = registry.history("mlm")
    # Each process promotes its two in turn, so none of its promotions finds its own model champion already.
    for process, names in zip(both, (mine, others), strict=True):
        assert [event.model_id for event in history if event.reason == str(process.pid)] == [*names * times]
    assert [event.before for event in history] == [None, *(event.model_id for event in history[:-1])]
    assert champion_of(registry) == history[-1].model_id


def test_a_process_killed_at_any_step_leaves_the_old_champion_or_the_new_one(registry: Registry) -> None:
    """Killed before each call that opens, writes or names something, one after the other."""
    add(registry, FIRST, SECOND)
    promote(registry, FIRST)
    before = registry.history("mlm")
    file = registry.folder / "mlm" / CHAMPION
    old = file.read_bytes()
    seen, kills = set(), 0
    for kill_at in range(1, 50):
        file.write_bytes(old)
        process = child(registry, SECOND, kill_at=kill_at)
        go(process)
        ended = end(process)
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        kills += 1
        history = registry.history("mlm")
        assert history[: len(before)] == before
        assert len(history) in (1, 2)
        seen.add(champion_of(registry))
        promote(registry, SECOND)  # by running again
        assert champion_of(registry) == SECOND
        assert len(registry.history("mlm")) == 2
    else:
        raise AssertionError("it never came to its end")
    assert kills >= 3
    assert seen == {FIRST, SECOND}


ADDING = """
import os, sys
from pathlib import Path
from retrain.registry import Registry

folder, kill_at, task, name = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
with Registry(Path(folder)).adding(task, name) as staging:
    (staging / "model.safetensors").write_bytes(b"half")
    print("filling", flush=True)
    sys.stdin.readline()
"""


def test_a_model_that_is_being_added_is_not_swept_away_and_one_of_a_killed_process_is(registry: Registry) -> None:
    process = child(registry, FIRST, code=ADDING)
    go(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "filling\n"
    staging = registry.folder / "mlm" / f"{PARTIAL}{FIRST}"
    add(registry, SECOND)
    assert (staging / "model.safetensors").exists()
    process.kill()
    end(process)
    assert registry.models() == (registry.get(SECOND),)
    add(registry, FIRST)
    assert not staging.exists()
    assert {model.model_id for model in registry.models()} == {FIRST, SECOND}


def test_a_model_that_reaches_the_disk_is_not_swept_away(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its last byte and its name a folder has no owner's file; who adds another one then has to wait."""
    begun, others = threading.Event(), []
    real = os.rename

    def slowly(source: Any, target: Any) -> None:
        if not begun.is_set():
            begun.set()
            others.append(threading.Thread(target=add, args=(registry, SECOND)))
            others[0].start()
            others[0].join(0.5)
        real(source, target)

    monkeypatch.setattr(os, "rename", slowly)
    add(registry, FIRST)
    others[0].join(30)
    assert {model.model_id for model in registry.models()} == {FIRST, SECOND}


def test_a_file_system_without_locks_is_told(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    add(registry, FIRST)

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(registry_module.fcntl, "flock", no_locks)
    with pytest.raises(ShopmonError, match="no file can be locked in"):
        promote(registry, FIRST)


def test_a_registered_model_is_whole(registry: Registry) -> None:
    add(registry, FIRST)
    assert isinstance(registry.get(FIRST), Registered)
    assert not list(registry.get(FIRST).folder.glob(".*"))
