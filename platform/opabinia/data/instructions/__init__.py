"""Questions and answers about pictures, written by a language model from their captions and the text around them.

As PMC-Cambrian (caption -> question/answer pairs) and the Cambrian data engine (fields -> topics -> pages -> question/answer
pairs) do it, with any endpoint that speaks the OpenAI protocol.
"""
