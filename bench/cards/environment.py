"""The environment that a card states for its adapter."""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel, ConfigDict, Field


class EnvironmentFacts(BaseModel):
    """What `[environment]` of a card says.

    Attributes:
        python: version of the interpreter, as uv understands it.
        requirements: what is installed, as pip writes requirements; pin what changes results.
        loading: seconds that building the model may take.
        timeout: seconds that one call may take.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    python: str = "3.11"
    requirements: tuple[str, ...] = Field(min_length=1)
    loading: float = Field(default=1800, gt=0)
    timeout: float = Field(default=600, gt=0)

    @property
    def key(self) -> str:
        """A hash of the interpreter and the requirements, in whatever order they are written."""
        text = json.dumps([self.python, sorted(set(self.requirements))])
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
