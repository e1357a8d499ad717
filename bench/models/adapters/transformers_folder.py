"""A hub folder in transformers' layout: its configuration, its picture processor, and what kind of model it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import WeightsError

NO_CODE = "give a folder of a model that this version of transformers knows; code from the folder is not run"


def config_of(folder: Path) -> Any:
    """The configuration.

    Raises:
        WeightsError: it is damaged, of a kind that transformers does not know, or needs code from the folder.
    """
    from transformers import AutoConfig

    return _loaded(AutoConfig, folder, "configuration")


def processor_of(folder: Path) -> Any:
    """The picture processor, with its class's own defaults where the file states nothing.

    Raises:
        WeightsError: there is none that can be loaded.
    """
    from transformers import AutoImageProcessor

    return _loaded(AutoImageProcessor, folder, "picture processor")


def tokenizer_of(folder: Path) -> Any:
    """The tokenizer.

    Raises:
        WeightsError: there is none that can be loaded.
    """
    from transformers import AutoTokenizer

    return _loaded(AutoTokenizer, folder, "tokenizer")


def is_dual_encoder(config: Any) -> bool:
    """Whether the architecture that the folder names is one whose pictures and texts have features in one space."""
    from transformers.models.auto.modeling_auto import MODEL_MAPPING

    model = _of(MODEL_MAPPING, config)
    return model is not None and all(hasattr(model, name) for name in ("get_image_features", "get_text_features"))


def is_image_text_to_text(config: Any) -> bool:
    """Whether the architecture that the folder names answers in words about pictures."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    return _of(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, config) is not None


def check_report(report: Mapping[str, Any], model: Any, folder: Path) -> None:
    """Require that a folder's weights are exactly a model's.

    Raises:
        WeightsError: some are missing, left over, or of another shape; the first eight of each are named.
    """
    wrong = {what: sorted(map(str, report.get(f"{what}_keys", ()))) for what in ("missing", "unexpected", "mismatched")}
    problems = [f"{len(keys)} {what}: {', '.join(keys[:8])}" for what, keys in wrong.items() if keys]
    if problems:
        raise WeightsError(
            f"the weights in {folder} do not fit {type(model).__name__}: {'; '.join(problems)}", "download them again"
        )


def _of(mapping: Any, config: Any) -> Any:
    """The class of a mapping for a configuration, if the folder was saved by that class."""
    named = config.architectures or []
    model = mapping.get(type(config), None)
    models = model if isinstance(model, tuple) else (model,)
    return next((each for each in models if each is not None and each.__name__ in named), None)


def _loaded(kind: Any, folder: Path, what: str) -> Any:
    try:
        return kind.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # damaged files fail in many ways
        raise WeightsError(
            f"{folder} holds no {what} that can be loaded: {type(error).__name__}: {str(error) or repr(error):.300}",
            NO_CODE,
        ) from error
