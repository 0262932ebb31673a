"""Every published schema, read from a small file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from opabinia.evaluation.benchmarks.formats.pictures import PublishedPictures
from opabinia.evaluation.benchmarks.formats.registry import published_questions
from opabinia.evaluation.questions import Question
from tests.evaluation.benchmarks.published import PICTURE, Rows, picture, shade_of, write_parquet

PICTURES: dict[str, dict[str, pa.DataType]] = {
    "seed": {"image": pa.list_(PICTURE)},
    "mmmu": {"image_1": PICTURE, "image_2": PICTURE},
    "math_vista": {"decoded_image": PICTURE},
}
"""Columns of pictures, where these are others than `image`."""

CV_BENCH: Rows = [
    {
        "idx": 5,
        "type": "2D",
        "task": "Count",
        "image": picture(5),
        "question": "How many cats are in the image?",
        "choices": ["0", "3", "1"],
        "answer": "(C)",
        "prompt": "How many cats are in the image? Select from the following choices.\n(A) 0\n(B) 3\n(C) 1",
        "filename": "img/2D/count/ade20k_5.png",
        "source": "ADE20K",
    },
    {
        "idx": 6,
        "type": "3D",
        "task": "Depth",
        "image": picture(6),
        "question": "Which object is closer to the camera?",
        "choices": ["cup", "lamp"],
        "answer": "(A)",
        "prompt": "…",
        "filename": "img/3D/depth/omni3d_6.png",
        "source": "Omni3D",
    },
]
MME: Rows = [
    {
        "question_id": "code_reasoning/0020.png" if cognition else "artwork/16006.jpg",
        "image": picture(shade),
        "question": "Is it? Please answer yes or no.",
        "answer": answer,
        "category": "code_reasoning" if cognition else "artwork",
    }
    for shade, answer, cognition in ((1, "Yes", False), (2, "No", False), (3, "No", True), (4, "Yes", True))
]
MMBENCH: Rows = [
    {
        "index": index,
        "question": "What is it?",
        "hint": hint,
        "answer": answer,
        "A": "cat",
        "B": "dog",
        "C": third,
        "D": "nan",
        "category": "object_localization",
        "image": picture(9),
        "source": "reasonseg",
        "L2-category": "finegrained_perception",
        "split": "dev",
    }
    for index, hint, answer, third in ((241, "nan", "A", None), (1_000_241, "Look.", "C", "cow"))
]
MMVP: Rows = [
    {
        "Index": n,
        "Question": "Are the eyes open?",
        "Options": "(a) Open (b) Closed",
        "Correct Answer": "(a)" if n % 2 else "(b)",
        "image": picture(n),
    }
    for n in (1, 2, 3, 4)
]
SEED: Rows = [
    {
        "answer": "B",
        "choice_a": "one",
        "choice_b": "two",
        "choice_c": "three",
        "choice_d": "four",
        "data_id": ["x.jpg"],
        "data_type": kind,
        "question": "How many?",
        "question_id": str(100 + n),
        "question_type_id": 5,
        "image": [picture(n)],
        "segment": None,
    }
    for n, kind in enumerate(("image", "video", "image"))
]
SCIENCE_QA: Rows = [
    {
        "image": shown,
        "question": "Which is it?",
        "choices": ["iron", "clay"],
        "answer": 1,
        "hint": hint,
        "task": "closed choice",
        "subject": "natural science",
        "lecture": "",
    }
    for shown, hint in ((picture(7), "Figure: a pot."), (None, ""), (picture(8), ""))
]
MMMU: Rows = [
    {
        "id": "validation_Art_History_1",
        "question": "Who painted <image 1>?",
        "options": "['Monet', \"l'Inconnu\"]",
        "image_1": picture(1),
        "image_2": picture(2),
        "answer": "B",
        "question_type": "multiple-choice",
    },
    {
        "id": "validation_Math_2",
        "question": "<image 1> What is x?",
        "options": "[]",
        "image_1": picture(3),
        "image_2": None,
        "answer": "['0.5', '1/2']",
        "question_type": "open",
    },
]
MATH_VISTA: Rows = [
    {
        "pid": "1",
        "question": "How long is it?",
        "image": "images/1.jpg",
        "decoded_image": picture(1),
        "choices": None,
        "unit": "cm",
        "answer": "4",
        "question_type": "free_form",
    },
    {
        "pid": "2",
        "question": "Which is longer?",
        "image": "images/2.jpg",
        "decoded_image": picture(2),
        "choices": ["AB", "CD"],
        "unit": None,
        "answer": "CD",
        "question_type": "multi_choice",
    },
]
AI2D: Rows = [{"question": "Which?", "options": ["leaf", "stem", "root"], "answer": "2", "image": picture(1)}]
CHART_QA: Rows = [{"type": "human_test", "question": "How many?", "answer": "14", "image": picture(1)}]
OCR_BENCH: Rows = [
    {
        "dataset": "IIIT5K",
        "question": "what is written in the image?",
        "question_type": "Regular Text Recognition",
        "answer": ["CENTRE"],
        "image": picture(1),
    }
]
TEXT_VQA: Rows = [
    {
        "image_id": "003a8ae2ef43b901",
        "question_id": 34602,
        "question": "what is the brand?",
        "image": picture(1),
        "answers": ["dakota", *["dakota digital"] * 9],
        "ocr_tokens": ["DAKOTA", "DIGITAL"],
    }
]
DOC_VQA: Rows = [
    {
        "questionId": "49153",
        "question": "What is the date?",
        "question_types": ["layout"],
        "image": picture(1),
        "docId": 14465,
        "answers": ["1/8/93", "8 Jan 1993"],
        "data_split": "val",
    }
]
REAL_WORLD_QA: Rows = [
    {"image": picture(n), "question": question, "answer": answer}
    for n, (question, answer) in enumerate(
        [
            ("Where?\n\nA. Left.\nB. Right.\nPlease answer directly with only the letter of the correct option.", "B"),
            ("Is it wet? Please answer directly with a single word or number.", "Yes"),
            ("How many lanes? Please answer directly with a single word or number.", "3"),
        ]
    )
]
POPE: Rows = [
    {
        "id": "0",
        "question_id": "1",
        "question": "Is there a snowboard in the image?",
        "answer": answer,
        "image_source": "COCO_val2014_000000310196",
        "image": picture(shade),
        "category": category,
    }
    for shade, answer, category in ((1, "yes", "adversarial"), (2, "no", "random"))
]


def read(folder: Path, name: str, rows: Rows) -> list[Question]:
    return published_questions({name: str(write_parquet(folder / f"{name}.parquet", rows, PICTURES.get(name)))})


def shades(questions: list[Question]) -> list[int]:
    opened = PublishedPictures()
    return [shade_of(opened(question.image)) for question in questions if question.image]


def test_cv_bench_gives_its_two_halves(tmp_path: Path) -> None:
    count, depth = read(tmp_path, "cv_bench", CV_BENCH)
    assert (count.benchmark, count.task, count.type, count.source) == ("cv_bench_2d", "Count", "2D", "ADE20K")
    assert (count.id, count.question, count.choices) == ("5", "How many cats are in the image?", ("0", "3", "1"))
    assert (count.answer, count.right_text, count.family) == ("(C)", "1", "vision_centric")
    assert (depth.benchmark, depth.source, depth.right_text) == ("cv_bench_3d", "Omni3D", "cup")
    assert shades([count, depth]) == [5, 6]


def test_mme_gives_perception_and_cognition_in_pairs(tmp_path: Path) -> None:
    questions = read(tmp_path, "mme", MME)
    assert [q.benchmark for q in questions] == ["mme_perception"] * 2 + ["mme_cognition"] * 2
    assert [q.right_text for q in questions] == ["Yes", "No", "No", "Yes"]
    assert questions[0].group == questions[1].group != questions[2].group == questions[3].group
    assert [q.task for q in questions] == ["artwork"] * 2 + ["code_reasoning"] * 2
    assert shades(questions) == [1, 2, 3, 4]


def test_mmbench_groups_rotations_and_knows_empty_cells(tmp_path: Path) -> None:
    first, rotated = read(tmp_path, "mmbench", MMBENCH)
    assert (first.question, first.choices, first.right_text) == ("What is it?", ("cat", "dog"), "cat")
    assert (rotated.question, rotated.right_text) == ("Look.\nWhat is it?", "cow")
    assert (first.id, rotated.id, first.group, rotated.group) == ("241", "1000241", "241", "241")


def test_mmvp_joins_consecutive_questions(tmp_path: Path) -> None:
    questions = read(tmp_path, "mmvp", MMVP)
    assert [q.group for q in questions] == ["1", "1", "2", "2"]
    assert [q.right_text for q in questions] == ["Open", "Closed"] * 2
    assert shades(questions) == [1, 2, 3, 4]


def test_seed_leaves_videos_out_and_takes_the_first_of_listed_pictures(tmp_path: Path) -> None:
    questions = read(tmp_path, "seed", SEED)
    assert [q.id for q in questions] == ["100", "102"]
    assert (questions[0].right_text, questions[0].task) == ("two", "5")
    assert shades(questions) == [0, 2]


def test_science_qa_leaves_questions_without_a_picture_out(tmp_path: Path) -> None:
    first, second = read(tmp_path, "science_qa", SCIENCE_QA)
    assert (first.question, first.right_text) == ("Context: Figure: a pot.\nWhich is it?", "clay")
    assert second.question == "Which is it?"
    assert shades([first, second]) == [7, 8]


def test_mmmu_shows_its_first_picture(tmp_path: Path) -> None:
    choice, opened = read(tmp_path, "mmmu", MMMU)
    assert (choice.question, choice.choices, choice.right_text) == ("Who painted?", ("Monet", "l'Inconnu"), "l'Inconnu")
    assert (choice.task, opened.task) == ("Art_History", "Math")
    assert (opened.question, opened.choices, opened.answers) == ("What is x?", (), ("0.5", "1/2"))
    assert shades([choice, opened]) == [1, 3]


def test_math_vista_takes_the_picture_in_the_file(tmp_path: Path) -> None:
    length, longer = read(tmp_path, "math_vista", MATH_VISTA)
    assert (length.question, length.answers) == ("How long is it? (Unit: cm)", ("4",))
    assert (longer.right_text, longer.answer) == ("CD", "(B)")
    assert shades([length, longer]) == [1, 2]


def test_ai2d_counts_its_options_from_nought(tmp_path: Path) -> None:
    (asked,) = read(tmp_path, "ai2d", AI2D)
    assert (asked.right_text, asked.answer) == ("root", "(C)")


def test_chart_qa_knows_who_wrote_the_question(tmp_path: Path) -> None:
    (asked,) = read(tmp_path, "chart_qa", CHART_QA)
    assert (asked.answers, asked.task, asked.choices) == (("14",), "human_test", ())


def test_ocr_bench_keeps_kind_and_source(tmp_path: Path) -> None:
    (asked,) = read(tmp_path, "ocr_bench", OCR_BENCH)
    assert (asked.answers, asked.task, asked.source) == (("CENTRE",), "Regular Text Recognition", "IIIT5K")


def test_text_vqa_tells_what_an_ocr_program_read(tmp_path: Path) -> None:
    (asked,) = read(tmp_path, "text_vqa", TEXT_VQA)
    assert asked.question == "What is the brand?\nReference OCR token: DAKOTA, DIGITAL"
    assert len(asked.answers) == 10


def test_doc_vqa_has_several_right_answers(tmp_path: Path) -> None:
    (asked,) = read(tmp_path, "doc_vqa", DOC_VQA)
    assert (asked.id, asked.answers) == ("49153", ("1/8/93", "8 Jan 1993"))


def test_real_world_qa_finds_choices_in_the_question(tmp_path: Path) -> None:
    where, wet, lanes = read(tmp_path, "real_world_qa", REAL_WORLD_QA)
    assert (where.choices, where.right_text) == (("Left.", "Right."), "Right.")
    assert (wet.choices, wet.right_text) == (("Yes", "No"), "Yes")
    assert (lanes.choices, lanes.answers) == ((), ("3",))


def test_pope_numbers_its_questions_in_every_category(tmp_path: Path) -> None:
    first, second = read(tmp_path, "pope", POPE)
    assert (first.id, second.id) == ("adversarial/1", "random/1")
    assert (first.right_text, second.right_text) == ("Yes", "No")


def test_gqa_finds_its_pictures_in_a_file_of_their_own(tmp_path: Path) -> None:
    questions: Rows = [
        {"id": "20", "imageId": "n2", "question": "Is it red?", "answer": "yes", "fullAnswer": "Yes, it is."},
        {"id": "21", "imageId": "n1", "question": "What is it?", "answer": "cat", "fullAnswer": "A cat."},
    ]
    write_parquet(tmp_path / "instructions.parquet", questions, {})
    write_parquet(tmp_path / "images.parquet", [{"id": "n1", "image": picture(1)}, {"id": "n2", "image": picture(2)}])
    read = published_questions({"gqa": str(tmp_path)})
    assert [(q.id, q.answers) for q in read] == [("20", ("yes",)), ("21", ("cat",))]
    assert shades(read) == [2, 1]
    with pytest.raises(ValueError, match=r"instructions\.parquet row 1: picture 'n2' is in none of the files"):
        published_questions({"gqa": str(tmp_path / "instructions.parquet")})


@pytest.mark.parametrize(
    ("name", "rows", "scenes"),
    [
        ("mme", MME, ["mme/artwork/artwork/16006.jpg"] * 2 + ["mme/code_reasoning/code_reasoning/0020.png"] * 2),
        ("pope", POPE, ["pope/COCO_val2014_000000310196"] * 2),
        ("seed", SEED, ["seed/x.jpg"] * 2),
        ("text_vqa", TEXT_VQA, ["text_vqa/003a8ae2ef43b901"]),
        ("doc_vqa", DOC_VQA, ["doc_vqa/14465"]),
        ("cv_bench", CV_BENCH, ["cv_bench/img/2D/count/ade20k_5.png", "cv_bench/img/3D/depth/omni3d_6.png"]),
        ("ai2d", AI2D, [""]),
    ],
)
def test_questions_about_one_picture_say_so_where_the_file_tells(
    tmp_path: Path, name: str, rows: Rows, scenes: list[str]
) -> None:
    assert [asked.scene for asked in read(tmp_path, name, rows)] == scenes


@pytest.mark.parametrize(
    ("name", "rows", "change", "reason"),
    [
        ("cv_bench", CV_BENCH, {"answer": "(D)"}, r"the answer is '\(D\)', but the choices are \(A\) to \(C\)"),
        ("cv_bench", CV_BENCH, {"type": "4D"}, "type is '4D'"),
        ("cv_bench", CV_BENCH, {"choices": ["1"], "answer": "(A)"}, "1 choices; a question offers 2 to 26"),
        ("cv_bench", CV_BENCH, {"image": None}, "image is missing or empty"),
        ("mme", MME, {"category": "colour"}, "category is 'colour'"),
        ("mme", MME, {"answer": "maybe"}, "the answer is 'maybe'; it is yes or no"),
        ("mmbench", MMBENCH, {"answer": "nan"}, "answer is missing or empty"),
        ("mmvp", MMVP, {"Index": 0}, "Index is '0'"),
        ("mmmu", MMMU, {"options": "['a', "}, "is not a list"),
        ("math_vista", MATH_VISTA, {"choices": ["a", "b"]}, "the answer '4' is none of the choices"),
        ("ai2d", AI2D, {"answer": "3"}, "the answer is '3', but the choices are 0 to 2"),
        ("ai2d", AI2D, {"answer": "-1"}, "the answer is '-1'"),
        ("text_vqa", TEXT_VQA, {"answers": ["a"]}, "1 answers; take the validation split"),
        ("doc_vqa", DOC_VQA, {"answers": None}, "those of the test split are secret"),
        ("chart_qa", CHART_QA, {"question": " "}, "question is missing or empty"),
    ],
)
def test_a_bad_row_is_refused_with_its_file_row_and_what_to_do(
    tmp_path: Path, name: str, rows: Rows, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=rf"{name}\.parquet row 1: .*{reason}") as refusal:
        read(tmp_path, name, [rows[0] | change, *rows[1:]])
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("name", "rows"), [("mme", MME), ("mmvp", MMVP)])
def test_half_a_pair_is_refused(tmp_path: Path, name: str, rows: Rows) -> None:
    with pytest.raises(ValueError, match="has 1 questions instead of 2"):
        read(tmp_path, name, rows[:-1])


def test_a_question_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cv_bench_2d holds question '5' twice"):
        read(tmp_path, "cv_bench", [CV_BENCH[0], CV_BENCH[0]])


def test_a_file_of_another_benchmark_is_told_by_its_columns(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"mme\.parquet row 1: category is missing"):
        read(tmp_path, "mme", CHART_QA)
