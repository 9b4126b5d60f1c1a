"""ShareGPT's conversations: texts of turns, without times. 4 characters are a token.

A JSON list of {id, conversations: [{from, value}]}, or one of these a line. Text of a system and of
a tool belongs to the question after it, text of a model to the question before it.
"""

from __future__ import annotations

from typing import Any

from mlpstorage_bench.kvcache.workload.traces.fields import FieldError, text

CHARACTERS_PER_TOKEN = 4
KEY = "conversations"
_QUESTIONS = frozenset({"human", "user"})
_BEFORE_A_QUESTION = frozenset({"system", "tool", "observation", "function_response"})
_ANSWERS = frozenset({"gpt", "chatgpt", "assistant", "model", "bing", "bard", "function_call"})
_ROLES = _QUESTIONS | _BEFORE_A_QUESTION | _ANSWERS

Turns = list[tuple[int, int]]
"""Tokens of context and answer of each turn of a conversation."""


def turns_of(conversation: Any) -> Turns:
    """Return one turn for each question of a conversation, with the answers after it."""
    if not isinstance(conversation, dict) or not isinstance(conversation.get(KEY), list):
        raise FieldError(KEY, "A conversation is an object with a list of this name")
    turns: Turns = []
    waiting = 0
    for message in conversation[KEY]:
        if not isinstance(message, dict):
            raise FieldError(KEY, "A message is an object with from and value")
        role, value = text(message, "from"), text(message, "value")
        tokens = max(1, len(value) // CHARACTERS_PER_TOKEN)
        if role not in _ROLES:
            raise FieldError("from", f"It is {role[:50]!r}; accepted: {', '.join(sorted(_ROLES))}")
        if role in _BEFORE_A_QUESTION:
            waiting += tokens
        elif role in _QUESTIONS:
            turns.append((waiting + tokens, 0))
            waiting = 0
        elif turns:
            context, answer = turns[-1]
            turns[-1] = (context, answer + tokens)
    return turns
