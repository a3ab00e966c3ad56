"""From answers to results: votes by the key, checks of raters, exclusions, exports, imports."""

import csv
import io
import itertools
import json

import numpy as np
import pytest

from tests.unit.study import make
from vpbench.api.errors import BadData, MissingData
from vpbench.study.analysis import analyse, answers_csv, collect, votes_for
from vpbench.study.answers import AnswerFile, read_events
from vpbench.study.collection import Collection
from vpbench.study.imports import answer_names, import_file, mturk_batch
from vpbench.study.report import table_rows, to_html
from vpbench.study.report import test_lines as sentences
from vpbench.study.settings import Exclusions, settings_toml

ORDER = (2, 1, 4, 3)


@pytest.fixture
def study(tmp_path):
    return make.study(tmp_path / "s", films=False, methods=4, clips=6, raters=6, gold=2, repeats=2)


def result_of(bundle, **more):
    return analyse(collect(bundle.folder), n_resamples=200, **more)


def test_votes_are_what_was_meant(study):
    """Whatever the slots, the key gives every method the rank that its rater chose."""
    bundle, key, private = study
    rng = np.random.default_rng(0)
    chosen = {(r, c): rng.permutation(4) + 1 for r in range(6) for c in range(6)}
    make.collect_answers(bundle, key, private, lambda r, c: chosen[r, c])
    collected = collect(bundle.folder)
    votes = votes_for(collected, "overall")
    names = [r.name for r in collected.raters]
    assert len(votes) == 36 and votes.methods == make.NAMES[:4]
    for rater, clip, ranks in zip(votes.rater, votes.clip, votes.ranks, strict=True):
        number = names.index(votes.raters[rater])
        assert list(ranks) == list(chosen[number, int(votes.clips[clip])])


def test_order_is_recovered(study):
    bundle, key, private = study
    make.collect_answers(bundle, key, private, lambda r, c: ORDER)
    result = result_of(bundle)
    means = [m["mean_rank"] for m in result["questions"]["overall"]["kept"]["methods"]]
    assert means == list(ORDER)
    assert result["raters"] == {
        "planned": 6,
        "answered": 6,
        "finished": 6,
        "withdrawn": 0,
        "excluded": 0,
    }
    assert all(r["repeat_tau"] == 1 and r["gold_failed"] == 0 for r in result["quality"])
    assert any("prior" in note for note in result["notes"])
    json.dumps(result, allow_nan=False)


def careless(kind):
    """One rater of six who breaks one rule; the others do not."""
    rng = np.random.default_rng(1)

    def choose(rater, clip):
        if rater == 2 and kind == "disagreeing":
            return tuple(5 - rank for rank in ORDER)
        return ORDER if rng.random() < 0.8 else (1, 2, 4, 3)

    gold = (lambda r: [4, 2, 3, 1] if r == 2 else None) if kind == "gold_failed" else lambda r: None
    return choose, gold


@pytest.mark.parametrize("kind", ["gold_failed", "disagreeing"])
def test_rules_look_at_answers(study, kind):
    bundle, key, private = study
    rules = Exclusions(disagreeing=0.0)
    private.settings.write_text(settings_toml(make.without(make.SETTINGS, disagreeing=0.0)))
    choose, gold = careless(kind)
    make.collect_answers(bundle, key, private, choose, gold=gold)
    collected = collect(bundle.folder)
    assert [r["breaks"] for r in collected.quality].count([kind]) == 1
    assert collected.quality[2]["excluded"] and len(collected.kept()) == 5
    result = analyse(collected, n_resamples=100)
    assert result["raters"]["excluded"] == 1
    part = result["questions"]["overall"]
    assert (part["kept"]["raters"], part["all"]["raters"]) == (5, 6)
    rows = {row["rules"]: row["raters"] for row in result["sensitivity"]}
    assert rows["none"] == 6 and rows[kind] == 5 and rows["all"] == 5
    assert any("not preregistered" in note for note in result["notes"])  # a rule was changed
    assert rules.disagreeing == 0


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("too_fast", {"seconds": 0.2}),
        ("not_played", {"plays": [1, 1, 0, 1]}),
    ],
)
def test_rules_look_at_how(study, rule, change):
    bundle, key, private = study
    make.collect_answers(bundle, key, private, lambda r, c: ORDER, **change)
    assert all(rule in r["breaks"] for r in collect(bundle.folder).quality)
    result = result_of(bundle)
    assert result["questions"]["overall"]["kept"]["votes"] == 0
    assert result["questions"]["overall"]["all"]["votes"] == 36
    assert any("all raters are excluded" in note for note in result["notes"])
    assert "No votes" in to_html(result)


def test_one_pattern_by_slot(study):
    """A rater who always clicks A, B, C, D."""
    bundle, _, private = study
    collection = Collection(bundle, make.salt(private), {})
    events = []
    for name in ("lazy", "other"):
        outcome = collection.open(make.hello(bundle, name), "10.0.0.1", "browser")
        events.append(outcome.event)
        session, sheet = outcome.reply["session"], outcome.reply["sheet"]
        for index in range(9):
            ranks = (
                [1, 2, 3, 4]
                if name == "lazy"
                else [3, 1, 2, 4][index % 4 :] + [3, 1, 2, 4][: index % 4]
            )
            events.append(collection.answer(make.body(bundle, session, sheet, index, ranks)).event)
    writer = AnswerFile(private.answers)
    writer.append(events)
    writer.close()
    lazy, other = collect(bundle.folder).quality
    assert lazy["same_pattern"] == 1 and "same_pattern" in lazy["breaks"]
    assert other["same_pattern"] < 0.6
    assert lazy["shared_address"] and lazy["missing"] == pytest.approx(0.1)
    assert not lazy["finished"]


def test_withdrawn_raters_are_not_read(study):
    bundle, key, private = study
    collection = make.collect_answers(bundle, key, private, lambda r, c: ORDER)
    session = next(iter(collection.sessions))
    writer = AnswerFile(private.answers)
    writer.append([{"kind": "withdraw", "session": session, "at": 1.0}])
    writer.close()
    result = result_of(bundle)
    assert (result["raters"]["answered"], result["raters"]["withdrawn"]) == (5, 1)


def test_nobody_yet(study):
    with pytest.raises(MissingData, match="study serve"):
        collect(study[0].folder)


def test_page_table_and_sentences(study):
    bundle, key, private = study
    choose, gold = careless("gold_failed")
    make.collect_answers(bundle, key, private, choose, gold=gold)
    result = result_of(bundle, nemenyi=True)
    html = to_html(result)
    assert html.count("<svg") == 3 * 5 and "nan" not in html.lower().replace("nanmethod", "")
    assert "left out" in html and all(name in html for name in make.NAMES[:4])
    rows = table_rows(result["questions"]["overall"]["kept"])
    assert rows[0][0] == make.NAMES[1] and len(rows) == 4
    assert any(
        "Friedman over 6 clips" in line
        for line in sentences(result["questions"]["overall"]["kept"])
    )


def test_page_escapes(study):
    bundle, key, private = study
    make.collect_answers(bundle, key, private, lambda r, c: ORDER)
    result = result_of(bundle)
    text = json.dumps(result).replace(make.NAMES[0], "<script>x</script>")
    assert "<script>x" not in to_html(json.loads(text))


def test_csv_is_safe_and_whole(study):
    bundle, key, private = study
    make.collect_answers(bundle, key, private, lambda r, c: ORDER)
    collected = collect(bundle.folder)
    collected.key["methods"][0]["name"] = "=HYPERLINK(1)"
    collected.key["clips"][0]["id"] = "@clip"
    rows = list(csv.DictReader(io.StringIO(answers_csv(collected))))
    assert len(rows) == 6 * 10 * 3 * 4
    assert not any(v.startswith(("=", "+", "-", "@")) for row in rows for v in row.values())
    clips = [r for r in rows if r["kind"] == "clip"]
    assert {(r["method"], r["rank"]) for r in clips} == set(
        zip(["'=HYPERLINK(1)", *make.NAMES[1:4]], map(str, ORDER), strict=True)
    )


def download(bundle, key, sheet=1, session="a" * 32, answers=10):
    """The file that the page saves without a server."""
    rows = []
    for index in range(answers):
        ranks = make.ranks_by_slot(key, sheet, index, ORDER)
        body = make.body(bundle, session, sheet, index, ranks)
        del body["session"]
        rows.append({"index": index, **body})
    return {
        "schema": "vpbench.study-answers/1",
        "study": bundle.study,
        "session": session,
        "sheet": sheet,
        "consent": True,
        "prolific": None,
        "viewport": [400, 800],
        "browser": "Firefox",
        "answers": rows,
    }


def test_import_of_a_download(study, tmp_path):
    bundle, key, private = study
    file = tmp_path / "answers.json"
    file.write_text(json.dumps(download(bundle, key)))
    done = import_file(bundle, private, file)
    assert (done.sessions, done.answers, done.known, done.refused) == (1, 10, 0, {})
    again = import_file(bundle, private, file)
    assert (again.sessions, again.answers, again.known) == (0, 0, 10)
    (rater,) = collect(bundle.folder).raters
    assert rater.sources == {"file"} and len(rater.answers) == 10
    assert "Firefox" not in "".join(p.read_text() for p in private.imported.iterdir())
    means = [m["mean_rank"] for m in result_of(bundle)["questions"]["motion"]["kept"]["methods"]]
    assert means == list(ORDER)


def test_forged_downloads(study, tmp_path):
    bundle, key, private = study
    file = tmp_path / "answers.json"
    value = download(bundle, key)
    value["answers"][0]["trial"] = bundle.sheets[0][0]["id"]
    value["answers"][1]["ranks"]["overall"] = [1, 1, 2, 3]
    value["answers"][2] = "text"
    file.write_text(json.dumps(value))
    done = import_file(bundle, private, file)
    assert done.answers == 7 and sum(done.refused.values()) == 3
    for change in (
        {"study": "other"},
        {"sheet": 99},
        {"sheet": "1"},
        {"consent": None},
        {"schema": 1},
    ):
        file.write_text(json.dumps({**download(bundle, key), **change}))
        with pytest.raises(BadData):
            import_file(bundle, private, file)
    file.write_text(json.dumps(download(bundle, key))[:-30])
    with pytest.raises(BadData, match="not whole JSON"):
        import_file(bundle, private, file)
    with pytest.raises(MissingData):
        import_file(bundle, private, tmp_path / "nothing.json")


def test_mturk(study, tmp_path):
    """Columns go out, results come back; workers are hashed, rejections left out."""
    bundle, key, private = study
    batch = list(csv.DictReader(io.StringIO(mturk_batch(bundle, "https://example.org/s/"))))
    assert len(batch) == 60 and batch[0]["video_A"].startswith("https://example.org/s/media/")
    assert list(batch[0]) == ["trial", "video_A", "video_B", "video_C", "video_D"]
    places = list(itertools.product(range(6), range(10)))
    out = io.StringIO()
    answers = [f"Answer.{name}" for name in answer_names(bundle)]
    head = [
        "HITId",
        "AssignmentId",
        "WorkerId",
        "AssignmentStatus",
        "WorkTimeInSeconds",
        "Input.trial",
    ]
    writer = csv.DictWriter(out, [*head, *answers])
    writer.writeheader()
    for number, ((sheet, index), row) in enumerate(zip(places, batch, strict=True)):
        ranks = make.ranks_by_slot(key, sheet, index, ORDER)
        values = dict(zip(answers, ranks * 3, strict=True))
        if number == 7:
            values[answers[0]] = ""
        status = "Rejected" if number == 3 else "Approved"
        writer.writerow(
            {
                "HITId": f"H{number}",
                "AssignmentId": f"A{number}",
                "WorkerId": f"W{number % 5}",
                "AssignmentStatus": status,
                "WorkTimeInSeconds": "33",
                "Input.trial": row["trial"],
                **values,
            }
        )
    file = tmp_path / "Batch_1_batch_results.csv"
    file.write_text(out.getvalue())
    done = import_file(bundle, private, file)
    assert done.answers == 58
    assert done.refused == {"the assignment was rejected": 1, "ranks must be 1 to 4, each once": 1}
    assert import_file(bundle, private, file).answers == 0
    collected = collect(bundle.folder)
    assert len(collected.raters) == 5 and "W1" not in "".join(r.name for r in collected.raters)
    assert all(r["missing"] is None and r["not_played"] is None for r in collected.quality)
    votes = votes_for(collected, "overall", kept=False)
    assert len({(r, c) for r, c in zip(votes.rater, votes.clip, strict=True)}) == len(votes)
    assert {tuple(row) for row in votes.ranks} == {ORDER}
    file.write_text("a,b\n1,2\n")
    with pytest.raises(BadData, match="no column 'WorkerId'"):
        import_file(bundle, private, file)


def test_server_and_files_together(study, tmp_path):
    bundle, key, private = study
    make.collect_answers(bundle, key, private, lambda r, c: ORDER, raters=2)
    file = tmp_path / "answers.json"
    file.write_text(json.dumps(download(bundle, key)))
    import_file(bundle, private, file)
    assert len(collect(bundle.folder).raters) == 3
    assert len(read_events(private.answers)) == 2 * (1 + 10 + 1)
