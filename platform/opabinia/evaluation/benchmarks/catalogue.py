"""Every benchmark, as data: the sixteen columns of the Cambrian study in its order (Tong et al. 2024, §2.1), and two more.

Prompt kinds are those that the study's evaluation used (its appendix on response-format prompts); where its text and its code differ
(RealWorldQA, whose questions carry their own instructions), the code's.
"""

from __future__ import annotations

from collections.abc import Mapping

from opabinia.evaluation.benchmarks.entry import Benchmark

BENCHMARKS: Mapping[str, Benchmark] = {
    "mme_perception": Benchmark(
        title="MME, perception", label="MME^P", category="general", file="mme", dataset="lmms-lab/MME",
        prompt="word", scorer="choice", full=2000, rule="pairs_in_subtasks", guess=37.5,
    ),
    "mmbench": Benchmark(
        title="MMBench, English, dev", label="MMB", category="general", file="mmbench", dataset="lmms-lab/MMBench",
        prompt="letter", scorer="choice", rule="groups",
    ),
    "seed_image": Benchmark(
        title="SEED-Bench, images", label="SEED^I", category="general", file="seed", dataset="lmms-lab/SEED-Bench",
        prompt="letter", scorer="choice",
    ),
    "gqa": Benchmark(
        title="GQA, testdev balanced", label="GQA", category="general", file="gqa", dataset="lmms-lab/GQA",
        prompt="word", scorer="exact", guess=0,
    ),
    "science_qa_image": Benchmark(
        title="ScienceQA, questions with an image", label="SQA^I", category="knowledge", file="science_qa",
        dataset="derek-thomas/ScienceQA", prompt="letter", scorer="choice",
    ),
    "mmmu": Benchmark(
        title="MMMU, validation", label="MMMU^V", category="knowledge", file="mmmu", dataset="lmms-lab/MMMU",
        prompt="letter", scorer="choice", open_prompt="word", open_scorer="relaxed",
    ),
    "math_vista": Benchmark(
        title="MathVista, testmini", label="MathVista^M", category="knowledge", file="math_vista",
        dataset="AI4Math/MathVista", prompt="reasoning", scorer="choice", open_prompt="word", open_scorer="relaxed",
    ),
    "ai2d": Benchmark(
        title="AI2D, test", label="AI2D", category="knowledge", file="ai2d", dataset="lmms-lab/ai2d",
        prompt="letter", scorer="choice",
    ),
    "chart_qa": Benchmark(
        title="ChartQA, test", label="ChartQA", category="ocr_chart", file="chart_qa", dataset="lmms-lab/ChartQA",
        prompt="number", scorer="relaxed", guess=0,
    ),
    "ocr_bench": Benchmark(
        title="OCRBench", label="OCRBench", category="ocr_chart", file="ocr_bench", dataset="echo840/OCRBench",
        prompt="short", scorer="containment", full=1000, guess=0,
    ),
    "text_vqa": Benchmark(
        title="TextVQA, validation", label="TextVQA", category="ocr_chart", file="text_vqa", dataset="lmms-lab/textvqa",
        prompt="word", scorer="vqa", guess=0,
    ),
    "doc_vqa": Benchmark(
        title="DocVQA, validation", label="DocVQA", category="ocr_chart", file="doc_vqa", dataset="lmms-lab/DocVQA",
        prompt="short", scorer="anls", guess=0,
    ),
    "mmvp": Benchmark(
        title="MMVP, pairs", label="MMVP", category="vision_centric", file="mmvp", dataset="MMVP/MMVP",
        prompt="letter", scorer="choice", rule="groups", guess=25,
    ),
    "real_world_qa": Benchmark(
        title="RealWorldQA", label="RealWorldQA", category="vision_centric", file="real_world_qa",
        dataset="lmms-lab/RealWorldQA", prompt="text", scorer="choice",
    ),
    "cv_bench_2d": Benchmark(
        title="CV-Bench, 2D", label="CV-Bench^2D", category="vision_centric", file="cv_bench",
        dataset="nyu-visionx/CV-Bench", prompt="letter", scorer="choice", rule="sources",
    ),
    "cv_bench_3d": Benchmark(
        title="CV-Bench, 3D", label="CV-Bench^3D", category="vision_centric", file="cv_bench",
        dataset="nyu-visionx/CV-Bench", prompt="letter", scorer="choice", rule="sources",
    ),
    "mme_cognition": Benchmark(
        title="MME, cognition", label="MME^C", category="general", file="mme", dataset="lmms-lab/MME",
        prompt="word", scorer="choice", full=800, rule="pairs_in_subtasks", guess=37.5, averaged=False,
    ),
    "pope": Benchmark(
        title="POPE", label="POPE", category="general", file="pope", dataset="lmms-lab/POPE",
        prompt="word", scorer="choice", rule="yes_no", guess=50, averaged=False,
    ),
}  # fmt: skip
"""By id."""

FILES: tuple[str, ...] = tuple(dict.fromkeys(benchmark.file for benchmark in BENCHMARKS.values()))
"""The names that files have in the settings."""
