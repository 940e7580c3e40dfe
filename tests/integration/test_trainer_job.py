"""Jobs on a tiny real model: both stages move the weights the right way, and a killed job ends in
the same bytes."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from knowledge.model import Sampling
from knowledge.questions import QuestionKind
from knowledge.rendering import closed_book
from tests.trainer_models import make_anchors, make_unit, make_units, shared_base
from trainer.__main__ import main
from trainer.checks import is_right
from trainer.engines.transformers import TransformersEngine
from trainer.errors import BadAdapter, BadBase, BadJob, Busy, TrainingDiverged
from trainer.fingerprint import adapter_digest, base_digest
from trainer.job import JobSpec, create_job, load_job, run_job, validate_job
from trainer.journal import Progress
from trainer.recipe import Recipe, load_recipe

MINI = load_recipe("mini")


def _recipe(**sections: dict[str, object]) -> Recipe:
    """`mini` with some settings of some sections changed."""
    update = {
        name: getattr(MINI, name).model_copy(update=values) for name, values in sections.items()
    }
    return MINI.model_copy(update=update)


LONG = _recipe(sft={"stop_recall": 1.0, "check_every": 0, "steps": 14}, distil={"steps": 9})
"""No early stop, so that there is something to interrupt in either stage."""


def _job(folder: Path, recipe: Recipe | str = "mini", **more: object) -> Path:
    settings = {"units": make_units(), "anchors": make_anchors(), "seed": 3, **more}
    create_job(folder, JobSpec.plan(base=shared_base(), recipe=recipe, **settings))  # type: ignore[arg-type]
    return folder


def _answers(adapter: Path | None, questions: list) -> list[str]:
    engine = TransformersEngine.load(shared_base(), adapter, device="cpu")
    rows = engine.generate([closed_book(q.text) for q in questions], Sampling(max_new_tokens=60))
    return [row[0].text for row in rows]


def _right(adapter: Path | None, questions: list) -> float:
    answers = _answers(adapter, questions)
    return sum(is_right(q, a) for q, a in zip(questions, answers, strict=True)) / len(answers)


def _bytes(adapter: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(adapter.iterdir())}


ASKED = [q for u in make_units() for q in u.questions]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished `mini` job of two edits."""
    folder = _job(tmp_path_factory.mktemp("job") / "two-edits")
    run_job(folder)
    return folder


def test_both_stages_teach_the_edits_and_leave_the_anchors(trained: Path) -> None:
    adapter = trained / "adapter"
    assert _right(None, ASKED) < 0.3
    assert _right(adapter, ASKED) >= 0.8
    assert _right(adapter, list(make_anchors())) == 1.0
    stages = {json.loads(x)["stage"] for x in (trained / "metrics.jsonl").read_text().splitlines()}
    assert stages == {"sft", "distil", "end"}


def test_the_job_folder_keeps_its_contract(trained: Path) -> None:
    adapter = trained / "adapter"
    assert {p.name for p in adapter.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "manifest.json",
        "README.md",
    }
    manifest = json.loads((adapter / "manifest.json").read_text())
    spec = load_job(trained)
    assert manifest["job_digest"] == spec.digest
    assert manifest["base_digest"] == base_digest(shared_base())
    assert manifest["recipe_digest"] == MINI.digest
    assert set(manifest["units"]) == {"unit-0", "unit-1"}
    assert manifest["metrics"]["recall_of_direct_questions"] == 1.0
    assert manifest["metrics"]["bootstrap"]["untaught_units"] == []
    lines = [json.loads(x) for x in (trained / "progress.jsonl").read_text().splitlines()]
    assert all(
        set(x) == {"stage", "step", "of", "loss", "tokens_per_s", "eta_s", "time", "warning"}
        for x in lines
    )
    assert lines[0]["stage"] == "bootstrap"
    assert lines[-1]["stage"] == "publish"
    texts = [
        json.loads(x)["text"] for x in (trained / "trajectories.jsonl").read_text().split("\n") if x
    ]
    assert "Tomas Reel." in texts
    assert str(shared_base().parent) not in "".join(
        p.read_text() for p in adapter.iterdir() if p.suffix != ".safetensors"
    )
    assert not (trained / "checkpoints").exists()


def test_peft_itself_loads_the_adapter(trained: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(str(shared_base()))
    model = PeftModel.from_pretrained(base, str(trained / "adapter"))
    weights = [p for n, p in model.named_parameters() if "lora_B" in n]
    assert weights and all(bool(w.abs().sum() > 0) for w in weights)


def test_a_finished_job_is_not_trained_again(trained: Path) -> None:
    before = (trained / "progress.jsonl").read_bytes()
    assert run_job(trained) == trained / "adapter"
    assert (trained / "progress.jsonl").read_bytes() == before


def test_the_next_release_starts_from_the_parent_and_keeps_its_edit(tmp_path: Path) -> None:
    recipe = _recipe(sft={"batch_rows": 9}, distil={"prompts": 6})
    first = run_job(_job(tmp_path / "one", recipe, units=(make_unit(0),)))
    settings = {"units": (make_unit(1),), "replay": (make_unit(0),), "parent_adapter": first}
    job = _job(tmp_path / "two", recipe, **settings)
    second = run_job(job)
    manifest = json.loads((second / "manifest.json").read_text())
    assert manifest["parent_digest"] == adapter_digest(first)
    assert manifest["metrics"]["companions"]["replay_rows"] >= 5
    assert _right(second, [*make_unit(0).questions[:4], *make_unit(1).questions[:4]]) >= 0.85


def test_overwriting_teaches_the_answer_only(tmp_path: Path) -> None:
    sft = load_recipe("static").sft
    assert sft
    short = sft.model_copy(update={"batch_rows": 8, "steps": 40})
    recipe = load_recipe("static").model_copy(update={"sft": short})
    adapter = run_job(_job(tmp_path / "static", recipe))
    plain = [q for u in make_units() for q in u.questions[:3]]
    assert _right(adapter, plain) >= 0.8
    assert json.loads((adapter / "manifest.json").read_text())["method"] == "static-lora"


def test_the_recipe_that_trains_nothing_has_no_effect(tmp_path: Path) -> None:
    adapter = run_job(_job(tmp_path / "none", "none"))
    questions = [*ASKED, *make_anchors()]
    assert _answers(adapter, questions) == _answers(None, questions)


# -- crashes ------------------------------------------------------------------------------------


class _Crash(Exception):
    pass


def _crash_at(stage: str, step: int):
    def listen(line: Progress) -> None:
        if (line.stage, line.step) == (stage, step):
            raise _Crash

    return listen


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = _job(tmp_path_factory.mktemp("job") / "undisturbed", LONG)
    run_job(folder)
    return folder


@pytest.mark.parametrize(
    "crashes",
    [
        [("bootstrap", 2)],
        [("sft", 3)],
        [("sft", 14)],
        [("sft", 6), ("distil", 1), ("distil", 7), ("publish", 1)],
    ],
)
def test_a_run_that_broke_off_ends_in_the_same_bytes(
    tmp_path: Path, undisturbed: Path, crashes: list[tuple[str, int]]
) -> None:
    folder = _job(tmp_path / "broken", LONG)
    for stage, step in crashes:
        with pytest.raises(_Crash):
            run_job(folder, _crash_at(stage, step))
        assert not (folder / "adapter").exists()
    run_job(folder)
    assert _bytes(folder / "adapter") == _bytes(undisturbed / "adapter")
    assert (folder / "metrics.jsonl").read_bytes() == (undisturbed / "metrics.jsonl").read_bytes()


def test_sigkill_in_either_stage_ends_in_the_same_bytes(tmp_path: Path, undisturbed: Path) -> None:
    folder = _job(tmp_path / "killed", LONG)
    command = [sys.executable, "-W", "ignore", "-m", "trainer", "run", str(folder)]
    for stage, step in (("sft", 6), ("distil", 5)):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        for line in process.stdout:
            words = line.split()
            if words[:1] == [stage] and int(words[1].split("/")[0]) >= step:
                break
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=60) == -signal.SIGKILL
        process.stdout.close()
        assert not (folder / "adapter").exists()
        assert list((folder / "checkpoints").iterdir())
    run_job(folder)
    assert _bytes(folder / "adapter") == _bytes(undisturbed / "adapter")


def test_a_round_of_rollouts_survives_in_the_checkpoint(tmp_path: Path) -> None:
    distil = {"steps": 6, "updates_per_round": 4, "weighting": "teacher", "divergence": "jsd"}
    recipe = _recipe(sft={"steps": 4}, distil=distil).model_copy(update={"checkpoint_every": 1})
    whole = run_job(_job(tmp_path / "whole", recipe))
    folder = _job(tmp_path / "broken", recipe)
    with pytest.raises(_Crash):
        run_job(folder, _crash_at("distil", 3))
    run_job(folder)
    assert _bytes(folder / "adapter") == _bytes(whole)


def test_a_torn_checkpoint_costs_steps_and_not_the_job(tmp_path: Path, undisturbed: Path) -> None:
    folder = _job(tmp_path / "torn", LONG)
    with pytest.raises(_Crash):
        run_job(folder, _crash_at("distil", 5))
    newest = max((folder / "checkpoints").iterdir())
    path = newest / "student.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    told: list[str | None] = []
    run_job(folder, lambda line: told.append(line.warning))
    assert f"checkpoint {newest.name} cannot be read" in (told[0] or "")
    assert not any(told[1:])
    assert _bytes(folder / "adapter") == _bytes(undisturbed / "adapter")
    assert (folder / "metrics.jsonl").read_bytes() == (undisturbed / "metrics.jsonl").read_bytes()


# -- bad input ----------------------------------------------------------------------------------


def _changed(number: int, **values: object):
    return dataclasses.replace(make_unit(number), **values)  # type: ignore[arg-type]


def test_jobs_that_make_no_sense_are_refused_before_they_are_written(tmp_path: Path) -> None:
    change = make_unit(0).change
    other = dataclasses.replace(change, new=make_unit(1).change.new)
    kept = dataclasses.replace(make_unit(0).questions[0], kind=QuestionKind.NEIGHBOUR)
    cases = [
        ({"units": ()}, "no edit units"),
        ({"units": (_changed(0, narrative=None),)}, "unit unit-0 has no narrative"),
        ({"units": (_changed(0, questions=()),)}, "unit unit-0 has no training questions"),
        (
            {"units": (_changed(0, questions=(kept,)),)},
            "unit unit-0 has no training questions about its own fact",
        ),
        ({"units": (make_unit(0), make_unit(0))}, "unit unit-0 stands twice"),
        (
            {"units": (make_unit(0), _changed(0, id="other", change=other))},
            "unit-0 and other both change",
        ),
        ({"replay": (_changed(0, id="earlier"),)}, "no parent adapter"),
    ]
    for settings, complaint in cases:
        with pytest.raises(BadJob, match=complaint):
            _job(tmp_path / "bad", **settings)
    assert not (tmp_path / "bad").exists()


def test_a_folder_holds_one_job_and_it_stays_as_written(tmp_path: Path) -> None:
    folder = _job(tmp_path / "job")
    _job(folder)
    with pytest.raises(BadJob, match="another job"):
        _job(folder, seed=4)
    text = (folder / "job.json").read_text()
    (folder / "job.json").write_text(text.replace('"seed": 3', '"seed": 5'))
    with pytest.raises(BadJob, match="was changed"):
        load_job(folder)
    (folder / "job.json").write_text("{")
    with pytest.raises(BadJob, match="is not a job"):
        load_job(folder)
    with pytest.raises(BadJob, match="cannot be read"):
        load_job(tmp_path / "none")


def test_models_that_do_not_fit_the_job_are_told(tmp_path: Path, trained: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(shared_base(), base)
    spec = JobSpec.plan(base=base, recipe="mini", units=make_units())
    create_job(tmp_path / "job", spec)
    config = json.loads((base / "tokenizer_config.json").read_text())
    (base / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": ""}))
    with pytest.raises(BadBase, match="has digest"):
        validate_job(tmp_path / "job")
    untalkative = JobSpec.plan(base=base, recipe="mini", units=make_units())
    create_job(tmp_path / "untalkative", untalkative)
    with pytest.raises(BadBase, match="no chat template"):
        run_job(tmp_path / "untalkative")
    parent = trained / "adapter"
    foreign = JobSpec.plan(base=base, recipe="mini", units=make_units(), parent_adapter=parent)
    (base / "tokenizer_config.json").write_text(json.dumps({**config, "x": 1}))
    foreign = foreign.model_copy(update={"base_digest": base_digest(base)})
    create_job(tmp_path / "foreign", foreign)
    with pytest.raises(BadAdapter, match="was trained on base"):
        validate_job(tmp_path / "foreign")
    lora = MINI.lora.model_copy(update={"rank": 4})
    narrow = MINI.model_copy(update={"lora": lora})
    job = _job(tmp_path / "narrow", narrow, parent_adapter=parent)
    with pytest.raises(BadAdapter, match="has rank 16"):
        run_job(job)
    for name in ("untalkative", "foreign", "narrow"):
        assert not (tmp_path / name / "adapter").exists()


def test_too_few_rows_and_unread_narratives_are_told(tmp_path: Path) -> None:
    wide = _recipe(sft={"batch_rows": 100})
    with pytest.raises(BadJob, match="rows of its units, fewer than"):
        run_job(_job(tmp_path / "wide", wide))
    many = _recipe(distil={"prompts": 100})
    with pytest.raises(BadJob, match="prompts with a right teacher, fewer than"):
        run_job(_job(tmp_path / "many", many))
    unread = tuple(dataclasses.replace(q, answers=("Ulla Venn",)) for q in make_unit(0).questions)
    strict = _recipe(sampling={"min_accepted": 1})
    job = _job(tmp_path / "silent", strict, units=(_changed(0, questions=unread), make_unit(1)))
    with pytest.raises(BadJob, match="unit unit-0: 0 of the teacher's answers"):
        run_job(job)
    for name in ("wide", "many", "silent"):
        assert not (tmp_path / name / "adapter").exists()


def test_a_loss_that_is_no_number_ends_the_job_without_an_adapter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fast = MINI.sft.optim.model_copy(update={"learning_rate": 1e30}) if MINI.sft else None
    job = _job(tmp_path / "nan", _recipe(sft={"optim": fast, "steps": 6, "check_every": 0}))
    with pytest.raises(TrainingDiverged, match="lower the learning rate"):
        run_job(job)
    assert not (job / "adapter").exists()
    assert main(["run", str(job), "--quiet"]) == 1
    assert capsys.readouterr().err.startswith("error: the ")


def test_a_full_disk_ends_the_job_without_an_adapter(tmp_path: Path) -> None:
    """A limit on the size of files makes writing fail as a full disk does."""
    job = _job(tmp_path / "full")
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from trainer.__main__ import main\n"
        "sys.exit(main(['run', sys.argv[1], '--quiet']))\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(job)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 75, done.stderr
    assert "cannot be written" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (job / "adapter").exists()
    assert run_job(job).is_dir()


def test_only_one_process_trains_a_job(tmp_path: Path) -> None:
    job = _job(tmp_path / "job")

    def again(_: Progress) -> None:
        with pytest.raises(Busy, match="another process"):
            run_job(job)
        raise _Crash

    with pytest.raises(_Crash):
        run_job(job, again)


def test_the_command_line_checks_and_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = _job(tmp_path / "job", "none")
    assert main(["validate", str(job)]) == 0
    assert "2 units, recipe none: ready" in capsys.readouterr().out
    assert main(["run", str(job)]) == 0
    out = capsys.readouterr().out
    assert "publish 1/1" in out
    assert str(job / "adapter") in out
    assert main(["validate", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_stage_one_learns_as_trls_own_trainer_does(tmp_path: Path) -> None:
    """One step over the same rows gives the same loss and gradients as TRL's SFTTrainer."""
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from trainer.divergence import cross_entropy_from_hidden
    from trainer.methods.rows import row
    from trainer.session import Session
    from trainer.student import (
        STUDENT,
        answer_hidden,
        answer_targets,
        attach_student,
        student_parameters,
    )

    engine = TransformersEngine.load(shared_base(), device="cpu", threads=1)
    attach_student(engine, MINI, None, 0)
    session = Session(tmp_path, None, engine, None, None, None)  # type: ignore[arg-type]
    pairs = [(q.text, q.reference) for q in ASKED[:6]]
    rows = [row(session, question, answer) for question, answer in pairs]
    with engine.using(STUDENT):
        for parameter in student_parameters(engine).values():
            torch.nn.init.normal_(parameter, std=0.02)
        hidden = answer_hidden(engine.network, rows)
        targets = answer_targets(rows, engine.device)
        ours = cross_entropy_from_hidden(hidden, engine.network.head, targets, chunk=4096)
        ours = ours / len(targets)
        ours.backward()
        grads = {
            n: p.grad.clone() for n, p in student_parameters(engine).items() if p.grad is not None
        }
        engine.model.zero_grad()
        data = Dataset.from_list(
            [
                {
                    "prompt": [{"role": "user", "content": question}],
                    "completion": [{"role": "assistant", "content": answer}],
                }
                for question, answer in pairs
            ]
        )
        arguments = SFTConfig(
            output_dir=str(tmp_path / "trl"),
            max_steps=1,
            per_device_train_batch_size=len(pairs),
            bf16=False,
            use_cpu=True,
            gradient_checkpointing=False,
            report_to="none",
            dataloader_pin_memory=False,
        )
        trl = SFTTrainer(
            model=engine.model,
            args=arguments,
            train_dataset=data,
            processing_class=engine.chat.tokenizer,
        )
        batch = next(iter(trl.get_train_dataloader()))
        theirs = trl.compute_loss(trl.model, batch)
        theirs.backward()
    assert theirs.item() == pytest.approx(ours.item(), rel=1e-5)
    for name, parameter in student_parameters(engine).items():
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, grads[name], atol=1e-5), name
