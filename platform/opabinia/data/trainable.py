"""What a record becomes before it is trained on: tokens and labels within the limit, or a reason why not."""

from __future__ import annotations

from dataclasses import dataclass

from opabinia.data.prompts import IGNORE, IMAGE_TOKEN, Encoded, MaskError, encode_conversation
from opabinia.data.records import Record, RecordError
from opabinia.data.tokenizer import load_tokenizer


@dataclass(frozen=True, slots=True)
class TextEncoding:
    """How the conversations of one source become tokens; sent to the tasks that do so.

    conversation: a format other than the tokenizer's own, or None. max_length: tokens kept, an image counting as one.
    """

    tokenizer_folder: str
    max_length: int
    conversation: str | None = None

    def encode(self, record: Record) -> Encoded:
        """Raises RecordError when the answers' tokens cannot be told, or the limit leaves no answer or not every picture."""
        tokenizer = load_tokenizer(self.tokenizer_folder, self.conversation)
        try:
            whole = encode_conversation(tokenizer, record.turns)
        except MaskError as error:
            raise RecordError(str(error)) from None
        kept = Encoded(whole.input_ids[: self.max_length], whole.labels[: self.max_length])
        if all(label == IGNORE for label in kept.labels):
            raise RecordError(f"data.max_length: {self.max_length} tokens leave no answer of its {len(whole.labels)}")
        shown = kept.input_ids.count(IMAGE_TOKEN)
        if shown != len(record.images):
            raise RecordError(
                f"data.max_length: {self.max_length} tokens leave {shown} of its {len(record.images)} image(s), or its template does"
            )
        return kept
