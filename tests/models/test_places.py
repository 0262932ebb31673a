"""Where everything of a batch stands: visual tokens land exactly where the placeholders stood, whatever the shapes are made to be."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from connectors.padding import ImageSize
from opabinia.data.collate import TextBatch
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.models.layout import SEPARATOR, Layout
from opabinia.models.places import NOTHING, Places, StaticShape, pad_pictures, place
from opabinia.models.putting import mean_questions, put_back, put_in, take_out

SIDE, WIDTH = 3, 2
QUERIES = SIDE**2
END = -1.0
"""What a separator is made of, in these tests; a text token is its number, and a visual one 1000 and its own."""

Sample = list[tuple[int, bool]]
"""Token ids, and whether they are supervised."""

TOKENS = st.tuples(st.one_of(st.integers(1, 50), st.just(IMAGE_TOKEN)), st.booleans())
SAMPLES = st.lists(TOKENS, min_size=1, max_size=5)
ROWS = st.lists(st.lists(SAMPLES, min_size=1, max_size=3), min_size=1, max_size=4)
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def batch_of(rows: list[list[Sample]], *, packed: bool = True) -> TextBatch:
    def padded(numbers: list[list[int]], value: int) -> Tensor:
        return pad_sequence([torch.tensor(row) for row in numbers], batch_first=True, padding_value=value)

    samples = padded([[n for n, sample in enumerate(row, 1) for _ in sample] for row in rows], 0)
    labels = [[t if wanted and t != IMAGE_TOKEN else IGNORE for sample in row for t, wanted in sample] for row in rows]
    return TextBatch(
        input_ids=padded([[token for sample in row for token, _ in sample] for row in rows], 0),
        labels=padded(labels, IGNORE),
        attention_mask=samples > 0,
        samples=samples if packed else None,
        images=[],
        image_keys=[],
    )


@dataclass
class Position:
    """What should stand at one position, told by the text alone."""

    shows: float
    sample: int
    place: int
    label: int
    cell: bool = False


def kept_cells(size: ImageSize) -> list[list[int]]:
    """The tokens of a SIDE x SIDE grid that hold picture, row by row; bars of the padding's width are cut on both sides."""
    short, long = min(size), max(size)
    bar = (SIDE - int(short * (SIDE / long))) // 2
    line, middle = range(SIDE), range(bar, SIDE - bar)
    rows, columns = (middle, line) if size[0] > size[1] else (line, middle)
    return [[row * SIDE + column for column in columns] for row in rows]


def expected(rows: list[list[Sample]], sizes: list[ImageSize] | None) -> list[list[Position]]:
    found, picture = list[list[Position]](), 0
    for row in rows:
        positions = list[Position]()
        for number, sample in enumerate(row, 1):
            shown = list[tuple[float, int, bool]]()
            for token, wanted in sample:
                if token != IMAGE_TOKEN:
                    shown.append((token, token if wanted else IGNORE, False))
                    continue
                first = 1000.0 + picture * QUERIES
                if sizes is None:
                    shown += [(first + cell, IGNORE, True) for cell in range(QUERIES)]
                else:
                    for cells in kept_cells(sizes[picture]):
                        shown += [*((first + cell, IGNORE, True) for cell in cells), (END, IGNORE, False)]
                picture += 1
            positions += [
                Position(shows, number, at, label if at else IGNORE, cell)
                for at, (shows, label, cell) in enumerate(shown)
            ]
        found.append(positions)
    return found


def put(places: Places, tokens: Tensor) -> Tensor:
    """[rows, length], the numbers that stand there once `tokens: [slots, QUERIES, WIDTH]` are put in."""
    text = places.token_ids.unsqueeze(-1).float().expand(-1, -1, WIDTH)
    groups = text.reshape(len(places.visual), -1, WIDTH)
    flat = tokens.flatten(0, 1)
    flat = flat if places.cells is None else flat[places.cells]
    found = put_in(groups, flat, places, torch.full((WIDTH,), END))
    return found.view(*places.token_ids.shape, WIDTH)[..., 0]


def numbered(pictures: int) -> Tensor:
    return torch.arange(1000.0, 1000 + pictures * QUERIES).view(-1, QUERIES, 1).expand(-1, -1, WIDTH)


@settings(deadline=None, max_examples=200)
@given(rows=ROWS, separated=st.booleans(), static=st.booleans(), pad_left=st.booleans(), data=st.data())
def test_every_row_reads_as_its_text_says(
    rows: list[list[Sample]], separated: bool, static: bool, pad_left: bool, data: st.DataObject
) -> None:
    in_rows = [sum(token == IMAGE_TOKEN for sample in row for token, _ in sample) for row in rows]
    sizes = data.draw(st.lists(SIZES, min_size=sum(in_rows), max_size=sum(in_rows))) if separated else None
    right = expected(rows, sizes)
    longest = max(map(len, right))
    if longest == 0:
        return
    shape = StaticShape(longest + data.draw(st.integers(0, 3)), max(in_rows) + 1, packed=True) if static else None
    layout = Layout(QUERIES, separated)
    places = place(batch_of(rows), layout, shape, sizes, pad_left=pad_left)
    length = longest if shape is None else shape.length
    assert places.token_ids.shape == places.labels.shape == places.position_ids.shape == (len(rows), length)
    (padded,) = pad_pictures([numbered(sum(in_rows))], places, [torch.zeros(QUERIES, WIDTH)])
    shown = put(places, padded)
    for index, positions in enumerate(right):
        start = length - len(positions) if pad_left else 0
        here = slice(start, start + len(positions))
        assert shown[index, here].tolist() == [position.shows for position in positions]
        assert places.samples[index, here].tolist() == [position.sample for position in positions]
        assert places.position_ids[index, here].tolist() == [position.place for position in positions]
        assert places.labels[index, here].tolist() == [position.label for position in positions]
    everything = [position for positions in right for position in positions]
    assert int((places.samples > 0).sum()) == len(everything)
    assert places.supervised == int((places.labels != IGNORE).sum())
    assert places.supervised == sum(position.label != IGNORE for position in everything)
    assert int((places.visual >= 0).sum()) == sum(position.cell for position in everything)
    assert places.packed == (static or any(len(row) > 1 for row in rows))
    assert places.at_most == (None if static else places.supervised)


@settings(deadline=None)
@given(rows=ROWS, static=st.booleans(), seed=st.integers(0, 99))
def test_every_sample_asks_its_own_question_up_to_its_own_first_answer(
    rows: list[list[Sample]], static: bool, seed: int
) -> None:
    batch = batch_of(rows)
    table = torch.randn(60, WIDTH, generator=torch.Generator().manual_seed(seed))
    right = list[Tensor]()
    for row in rows:
        for sample in row:
            asked = list[int]()
            for token, wanted in sample:
                if wanted and token != IMAGE_TOKEN:
                    break
                asked += [token] * (token != IMAGE_TOKEN)
            mean = table[asked].mean(0) if asked else torch.zeros(WIDTH)
            right += [mean] * sum(token == IMAGE_TOKEN for token, _ in sample)
    most = int((batch.input_ids == IMAGE_TOKEN).sum(1).max())
    shape = StaticShape(QUERIES * most + 60, most + 1, packed=True) if static else None
    places = place(batch, Layout(QUERIES), shape)
    questions = mean_questions(table[places.token_ids].view(len(places.visual), -1, WIDTH), places)
    slots = pad_pictures([torch.ones(len(right))], places, [torch.zeros(())])[0].bool()
    torch.testing.assert_close(questions[slots], torch.stack(right) if right else torch.zeros(0, WIDTH))
    assert not questions[~slots].any()


@settings(deadline=None)
@given(rows=ROWS, separated=st.booleans(), static=st.booleans(), data=st.data())
def test_what_is_taken_out_and_put_back_changes_visual_tokens_alone_and_so_do_gradients(
    rows: list[list[Sample]], separated: bool, static: bool, data: st.DataObject
) -> None:
    batch = batch_of(rows)
    count = int((batch.input_ids == IMAGE_TOKEN).sum())
    sizes = data.draw(st.lists(SIZES, min_size=count, max_size=count)) if separated else None
    shape = StaticShape(200, 20, packed=True) if static else None
    places = place(batch, Layout(QUERIES, separated), shape, sizes)
    hidden = torch.randn(*places.visual.shape, WIDTH, dtype=torch.float64, requires_grad=True)

    def doubled(hidden: Tensor) -> Tensor:
        return put_back(hidden, 2 * take_out(hidden, places).flatten(0, 1), places)

    factors = torch.where(places.visual >= 0, 2.0, 1.0).unsqueeze(-1)
    assert torch.equal(doubled(hidden), factors * hidden)
    (gradient,) = torch.autograd.grad(doubled(hidden).sum(), hidden)
    assert torch.equal(gradient, factors.expand_as(hidden).double())


def test_gradients_of_every_token_and_of_the_separator_are_those_of_their_places() -> None:
    batch = batch_of([[[(1, False), (IMAGE_TOKEN, False), (2, True)]], [[(IMAGE_TOKEN, False), (3, True)]]])
    places = place(batch, Layout(QUERIES, separated=True), StaticShape(20, 2), [(3, 1), (3, 3)])
    text = torch.randn(2, 20, WIDTH, dtype=torch.float64, requires_grad=True)
    tokens = torch.randn(4 * QUERIES, WIDTH, dtype=torch.float64, requires_grad=True)
    separator = torch.randn(WIDTH, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *some: put_in(*some[:2], places, some[2]), (text, tokens, separator))


def test_padding_that_no_text_shows_is_not_computed_with_unless_shapes_are_static() -> None:
    batch = batch_of([[[(IMAGE_TOKEN, False), (IMAGE_TOKEN, False)]]])
    sizes = [(9, 3), (3, 9)]
    layout = Layout(QUERIES, separated=True)
    free = place(batch, layout, None, sizes)
    assert free.cells is not None
    assert free.cells.tolist() == [3, 4, 5, 10, 13, 16]
    assert free.visual.tolist() == [[0, 1, 2, SEPARATOR, 3, SEPARATOR, 4, SEPARATOR, 5, SEPARATOR]]
    static = place(batch, layout, StaticShape(12, 3), sizes)
    assert static.cells is None
    assert static.visual_at.shape == (1, 3 * QUERIES)
    assert static.visual_at[0, [3, 4, 5, 10, 13, 16]].tolist() == [0, 1, 2, 4, 6, 8]
    assert static.visual[0, 10:].tolist() == [NOTHING] * 2
    assert static.sizes == (*sizes, (1, 1))


def test_static_shapes_do_not_depend_on_the_data() -> None:
    shape = StaticShape(40, 2, packed=True)
    texts = ([(1, True)] * 30, [(IMAGE_TOKEN, False)] * 2, [(5, False), (IMAGE_TOKEN, False), (6, True)])
    alike = [place(batch_of([[sample], [[(1, True)]]]), Layout(QUERIES), shape) for sample in texts]
    alike.append(place(batch_of([[[(1, True)]], [[(2, False)], [(3, True)]]]), Layout(QUERIES), shape))
    fields = ("token_ids", "labels", "position_ids", "samples", "visual", "visual_at", "asks", "asked")
    shapes = [[getattr(places, field).shape for field in fields] for places in alike]
    assert all(each == shapes[0] for each in shapes)
    assert all(places.packed and places.slots == 4 and places.at_most is None for places in alike)


def test_blank_slots_stand_behind_each_rows_own_pictures() -> None:
    places = place(batch_of([[[(IMAGE_TOKEN, False)]], [[(7, True)]]]), Layout(QUERIES), StaticShape(12, 2))
    blanks = [torch.full((1,), -1.0), torch.full((2,), -2.0)]
    one, other = pad_pictures([torch.tensor([[5.0]]), torch.tensor([[6.0, 7.0]])], places, blanks)
    assert one.tolist() == [[5.0], [-1.0], [-1.0], [-1.0]]
    assert other.tolist() == [[6.0, 7.0], [-2.0, -2.0], [-2.0, -2.0], [-2.0, -2.0]]
    text_alone = place(batch_of([[[(7, True)]]]), Layout(QUERIES), StaticShape(12, 1))
    assert [part.tolist() for part in pad_pictures([], text_alone, blanks)] == [[[-1.0]], [[-2.0, -2.0]]]


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (StaticShape(9, 1), "length: a row has 10 positions where 9 are; raise it or cut the text"),
        (StaticShape(10, 0), "pictures: a row has 1 where 0 are; raise it or leave the row out"),
    ],
)
def test_what_does_not_fit_is_refused(shape: StaticShape, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        place(batch_of([[[(IMAGE_TOKEN, False), (1, True)]]]), Layout(QUERIES), shape)


def test_packed_rows_where_none_are_said_to_be_are_refused() -> None:
    with pytest.raises(ValueError, match="packed: rows hold several samples where none may"):
        place(batch_of([[[(1, True)], [(2, True)]]]), Layout(QUERIES), StaticShape(4, 0))


def test_sizes_and_pictures_that_differ_in_number_are_refused() -> None:
    with pytest.raises(ValueError, match="image_sizes: 2 sizes for 1 images; give one each"):
        place(batch_of([[[(IMAGE_TOKEN, False)]]]), Layout(QUERIES), sizes=[(1, 1), (1, 1)])
