"""DeST: a spatial stream over a few large frames, a temporal stream over many cheap clip features (BMVC 2022).

Letters: V videos · F frames each · S clip features (padded) · Q questions · L tokens · A answers · D width.

Every cost that belongs to a video is paid once per video, however many questions ask about it: see `VideoStates`.
The module's parameters bear the names of the published checkpoints.
"""

import contextlib
import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from datamodules.batch import Questions

from .answer_encoder import AnswerEncoder
from .chunks import chunks_by_length, group_by_video
from .distilbert import DistilBert
from .image_encoder import ImageEncoder
from .precision import float32_in_evaluation
from .settings import ModelSettings, ModelSizes
from .temporal import TemporalEmbedding, TemporalEncoder
from .text_encoder import TextEmbeddings, TextEncoder
from .transformer import KeyValue, TransformerStack

# Of the image encoder without gradients: more make its activations so large that fetching memory for them costs up to
# a third of the time (4 frames of the published size; measured in float32 and in bfloat16).
_TOKENS_AT_ONCE_ON_CPU = 2400


@dataclass
class VideoStates:
    """Results of the encoders that depend on the video alone: tokens of its frames, states of its clips."""

    image_tokens: Tensor | None = None  # [V, F, 1 + patches, D]
    clip_states: Tensor | None = None  # [V, S + 2, D]
    clip_mask: Tensor | None = None  # bool [V, S + 2]


@dataclass
class VideoMemory:
    """A video as the fusion layers read it: keys and values of each layer, to be used for any number of questions."""

    frames: Iterable[KeyValue] = ()  # of [V, F, H, T, D/H]
    num_frames: int = 0
    clips: Iterable[KeyValue] = ()  # of [V, 1, H, S + 2, D/H]
    clip_mask: Tensor | None = None


def init_linear(linear: nn.Linear, std: float = 0.02) -> None:
    """N(0, std) and a zero bias: the published start of every layer that no checkpoint brings."""
    nn.init.normal_(linear.weight, std=std)
    nn.init.zeros_(linear.bias)


def _text_stack(sizes: ModelSizes, dropout: float) -> TransformerStack:
    return TransformerStack(
        sizes.hidden_size, sizes.num_layers, sizes.num_text_layers, sizes.num_heads, sizes.intermediate_size, dropout
    )


def mlp_head(width: int, out_width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out_width))


class DeST(nn.Module):
    """The network.

    Args:
        spatial: with the frames' part in the answer (`frame_head`). TRM has none, but carries the image encoder.
        temporal: with the temporal stream. The ``*_mean`` baselines have none.
        drop_rate: dropout of the text/fusion stacks, the clip embedding and the answer encoder.
        frozen_precision: "bf16": a frozen image encoder runs in bfloat16 whatever the rest does; "same": as the rest.
        published_quirks: compute what the published fine-tuning code computed at test time, with its two faults:
            the clip mask is two short, and text positions 0..101 read the clip positions. For the published
            ``anetqa.ckpt`` and ``agqa.ckpt``, whose published figures were got that way; for nothing else.
    """

    # None without their stream
    frame_head: nn.Sequential
    temporal_embedding: TemporalEmbedding
    temporal_encoder: TemporalEncoder
    video_head: nn.Sequential

    def __init__(
        self,
        sizes: ModelSizes,
        *,
        spatial: bool = True,
        temporal: bool = True,
        drop_rate: float = ModelSettings.drop_rate,
        frozen_precision: str = ModelSettings.frozen_precision,
        published_quirks: bool = False,
    ):
        super().__init__()
        self.sizes = sizes
        self.frozen_precision = frozen_precision
        self.published_quirks = published_quirks
        self.drop_rate = drop_rate
        width = sizes.hidden_size
        self.visual_encoder = ImageEncoder(sizes.image_size, sizes.patch_size, width, sizes.vit_depth, sizes.vit_heads)
        self.text_encoder = TextEncoder(
            TextEmbeddings(
                sizes.vocab_size, width, sizes.max_text_positions, sizes.num_token_types, drop_rate, eps=1e-12
            ),
            _text_stack(sizes, drop_rate),
        )
        for name in ("frame_head", "temporal_embedding", "temporal_encoder", "video_head"):
            self.register_module(name, None)
        if spatial:
            self.frame_head = mlp_head(width, sizes.head_width)
        if temporal:
            self.temporal_embedding = TemporalEmbedding(
                sizes.input_video_embed_size, width, sizes.max_clips, dropout=drop_rate
            )
            self.temporal_encoder = TemporalEncoder(_text_stack(sizes, drop_rate))
            self.video_head = mlp_head(width, sizes.head_width)
        answers = DistilBert(
            sizes.vocab_size,
            width,
            sizes.max_text_positions,
            sizes.answer_layers,
            sizes.answer_heads,
            sizes.answer_intermediate_size,
            drop_rate,
        )
        self.ans_encoder = AnswerEncoder(answers, width, sizes.head_width)
        self.init_weights()

    @property
    def spatial(self) -> bool:
        return self.frame_head is not None

    @property
    def temporal(self) -> bool:
        return self.temporal_encoder is not None

    # --- start -------------------------------------------------------------------------------------------------------

    def init_weights(self) -> None:
        """The random start: Linear and Embedding N(0, `ModelSizes.init_std`), BOS and EOS truncated normal."""
        std = self.sizes.init_std
        for part in (
            self.text_encoder,
            self.temporal_embedding,
            self.temporal_encoder,
            self.frame_head,
            self.video_head,
            self.ans_encoder,
        ):
            for module in part.modules() if part is not None else ():
                if isinstance(module, nn.Linear):
                    init_linear(module, std)
                elif isinstance(module, nn.Embedding):
                    nn.init.normal_(module.weight, std=std)
        if self.temporal:
            nn.init.trunc_normal_(self.temporal_embedding.bos, std=std)
            nn.init.trunc_normal_(self.temporal_embedding.eos, std=std)
            self.start_temporal_from_text()

    @torch.no_grad()
    def start_temporal_from_text(self) -> None:
        """`temporal_encoder` starts as a copy of `text_encoder`, the clip positions as BERT's first ones."""
        self.temporal_encoder.encoder.load_state_dict(self.text_encoder.encoder.state_dict())
        own = self.temporal_embedding.frame_pos_embed.weight
        rows = min(len(own), self.sizes.max_text_positions)
        own[:rows] = self.text_encoder.embeddings.position_embeddings.weight[:rows]

    # --- how it is computed ------------------------------------------------------------------------------------------

    def enable_grad_checkpointing(self) -> None:
        """Recomputes the layers' activations in the backward pass instead of keeping them: less memory, more time."""
        self.visual_encoder.set_grad_checkpointing(True)
        self.text_encoder.encoder.grad_checkpointing = True
        self.ans_encoder.lm.grad_checkpointing = True
        if self.temporal:
            self.temporal_encoder.encoder.grad_checkpointing = True

    def compile_encoders(self) -> None:
        """Compiles, in place, the parts whose shapes repeat from batch to batch: the image and the answer encoder."""
        self.visual_encoder.compile()
        self.ans_encoder.lm.compile(dynamic=True)

    # --- once per video ----------------------------------------------------------------------------------------------

    def encode_frames(self, frames: Tensor) -> Tensor:
        """``[V, F, 3, H, W]``, uint8 or normalised float -> ``[V, F, 1 + patches, D]``."""
        frozen = not any(parameter.requires_grad for parameter in self.visual_encoder.parameters())
        with contextlib.ExitStack() as settings:
            if frozen:
                settings.enter_context(torch.no_grad())
                if self.frozen_precision == "bf16":
                    settings.enter_context(torch.autocast(frames.device.type, torch.bfloat16))
            images = frames.flatten(0, 1)
            at_once = len(images)
            if images.device.type == "cpu" and not torch.is_grad_enabled():
                at_once = max(1, _TOKENS_AT_ONCE_ON_CPU // (1 + self.visual_encoder.patch_embed.num_patches))
            parts = [self.visual_encoder(some) for some in images.split(at_once)]
            return (parts[0] if len(parts) == 1 else torch.cat(parts)).unflatten(0, frames.shape[:2])

    def encode_clips(self, clips: Tensor, clip_mask: Tensor) -> tuple[Tensor, Tensor]:
        """``[V, S, in]``, bool ``[V, S]`` -> states after the plain temporal layers ``[V, S + 2, D]``, with mask."""
        with float32_in_evaluation(self, clips.device):
            states, mask = self.temporal_embedding(clips, clip_mask, two_short=self.published_quirks)
            return self.temporal_encoder(states, mask), mask

    def encode_videos(self, batch: Mapping[str, Any], known: Collection[str] = ()) -> VideoStates:
        """``frames`` and ``clips, clip_mask`` of a batch, as far as a stream wants them that is not `known`."""
        states = VideoStates()
        if self.spatial and "frames" not in known:
            states.image_tokens = self.encode_frames(batch["frames"])
        if self.temporal and "clips" not in known:
            states.clip_states, states.clip_mask = self.encode_clips(batch["clips"], batch["clip_mask"])
        return states

    def project_videos(self, states: VideoStates) -> VideoMemory:
        """Keys and values of every fusion layer."""
        memory = VideoMemory(clip_mask=states.clip_mask)
        if states.image_tokens is not None:
            memory.num_frames = states.image_tokens.shape[1]
            memory.frames = list(self.text_encoder.encoder.project_memory(states.image_tokens))
        if states.clip_states is not None:
            memory.clips = list(self.temporal_encoder.encoder.project_memory(states.clip_states[:, None]))
        return memory

    # --- once per question -------------------------------------------------------------------------------------------

    def encode_questions(self, ids: Tensor, mask: Tensor) -> Tensor:
        """``[Q, L]`` -> states after the plain text layers ``[Q, L, D]``."""
        overlay = None
        if self.published_quirks and self.temporal:
            overlay = self.temporal_embedding.frame_pos_embed.weight
        return self.text_encoder(ids, mask, overlay)

    def frame_features(
        self, hidden: Tensor, questions: Questions, memory: VideoMemory, return_attention: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """The spatial stream: question states ``[Q, L, D]`` -> ``[Q, head_width]``, attention as of `fuse`."""
        states, attention = self.text_encoder.encoder.fuse(
            hidden,
            questions.mask.bool(),
            memory.frames,
            memory.num_frames,
            questions.per_video,
            return_attention=return_attention,
        )
        with float32_in_evaluation(self, states.device):
            return self.frame_head(states).mean(1), attention

    def video_features(
        self, hidden: Tensor, questions: Questions, memory: VideoMemory, return_attention: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """The temporal stream: question states ``[Q, L, D]`` -> ``[Q, head_width]``, attention as of `fuse`."""
        states, attention = self.temporal_encoder.encoder.fuse(
            hidden, questions.mask.bool(), memory.clips, 1, questions.per_video, memory.clip_mask, return_attention
        )
        with float32_in_evaluation(self, states.device):
            return self.video_head(states[:, 0]), attention

    def question_features(
        self,
        questions: Questions,
        memory: VideoMemory,
        return_attention: bool = False,
        known: dict[str, Tensor] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of the streams, which is compared with the answers.

        Args:
            return_attention: with the attention of the last layers, as of `TransformerStack.fuse`.
            known: the questions' states ("text", ``[Q, L, D]``) and the features of a stream ("frames", "clips"), as
                far as they are; takes what is computed.

        Returns:
            ``[Q, head_width]``; the attention by stream, "frames" and "clips", if it is wanted.
        """
        known = {} if known is None else known
        if "text" not in known:
            known["text"] = self.encode_questions(questions.ids, questions.mask)
        streams = {"frames": self.frame_features} if self.spatial else {}
        streams |= {"clips": self.video_features} if self.temporal else {}
        attention: dict[str, Tensor] = {}
        for stream, features in streams.items():
            if stream not in known:
                known[stream], weights = features(known["text"], questions, memory, return_attention)
                attention |= {} if weights is None else {stream: weights}
        return functools.reduce(torch.add, map(known.__getitem__, streams)), attention

    # --- from batch to logits ----------------------------------------------------------------------------------------

    def encode_answers(self, ids: Tensor, mask: Tensor, lengths: Sequence[int] | None = None) -> Tensor:
        """``[A, L]`` -> ``[A, head_width]``; `lengths` on the host spare a wait for the device."""
        if lengths is None:
            lengths = mask.sum(1).tolist()
        return self.ans_encoder.encode_by_length(ids, mask, lengths)

    def forward(
        self,
        batch: Mapping[str, Any],
        answers: Tensor | None = None,
        questions_at_once: int | None = None,
        kept: dict[tuple, Tensor] | None = None,
    ) -> Tensor:
        """Scores of all answers for each question.

        Args:
            batch: videos and questions, and without `answers` also ``answer_ids, answer_mask`` [A, L] and perhaps
                ``answer_lengths`` on the host. Videos are ``frames`` [V, F, 3, H, W], ``clips`` [V, S, in] and
                ``clip_mask`` [V, S], as far as the model has the stream, or their ``memory`` from `project_videos`.
                Questions are ``questions``, or (not with ``memory``) in any order ``question_ids, question_mask``
                [Q, L] with the ``video_index`` [Q] of each.
            answers: features of the answers, ``[A, head_width]``, from `encode_answers`.
            questions_at_once: the most questions in one pass, so that memory is bounded however many there are.
            kept: results for passes over the same questions and as many at once, which it brings and takes: by chunk of
                questions, and of a stream by the name of what it sees, which the batch's ``evidence`` has.

        Returns:
            logits ``[Q, A]``.
        """
        kept = {} if kept is None else kept
        seen = {"text": "", **batch["evidence"]} if "evidence" in batch else {}  # by part of the network
        known = [part for part, name in seen.items() if (part, name, 0) in kept]
        memory = batch.get("memory") or self.project_videos(self.encode_videos(batch, known))
        questions, places = batch.get("questions"), None
        if questions is None:
            num_videos = len(batch["frames"] if self.spatial else batch["clips"])
            questions, places = group_by_video(
                batch["question_ids"], batch["question_mask"], batch["video_index"], num_videos
            )
        chunks, back = [questions], None
        if questions_at_once is not None and len(questions) > questions_at_once:
            chunks, back = chunks_by_length(questions, questions_at_once)
        parts = []
        for number, chunk in enumerate(chunks):
            keys = {part: (part, name, number) for part, name in seen.items()}
            own = {part: kept[key] for part, key in keys.items() if key in kept}
            parts.append(self.question_features(chunk, memory, known=own)[0])
            kept.update({key: own[part] for part, key in keys.items()})
        features = parts[0] if back is None else torch.cat(parts)[back]
        if answers is None:
            answers = self.encode_answers(batch["answer_ids"], batch["answer_mask"], batch.get("answer_lengths"))
        logits = self.score(features, answers)
        return logits if places is None else logits[places]

    @staticmethod
    def score(features: Tensor, answers: Tensor) -> Tensor:
        """``[Q, head_width]``, ``[A, head_width]`` -> logits ``[Q, A]``, float32 even under autocast.

        Rounded to bf16, many of the best answers would tie.
        """
        with torch.autocast(features.device.type, enabled=False):
            return features.float() @ answers.float().T
