"""DeST: a spatial stream over a few large frames, a temporal stream over many cheap clip features (BMVC 2022).

Letters: V videos · F frames each · S clip features (padded) · Q questions · L tokens · A answers · D width.

Every cost that belongs to a video is paid once a video, however many questions ask about it: see `VideoStates`.
The module's parameters bear the names of the published checkpoints.
"""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DistilBertConfig

from .answer_encoder import AnswerEncoder
from .image_encoder import ImageEncoder
from .precision import float32_in_evaluation
from .temporal import TemporalEmbedding, TemporalEncoder
from .text_encoder import TextEmbeddings, TextEncoder
from .transformer import KeyValue, TransformerStack

# Of the image encoder without gradients: more make its activations so large that fetching memory for them costs up to
# a third of the time (4 frames of the published size; measured in float32 and in bfloat16).
_TOKENS_AT_ONCE_ON_CPU = 2400


@dataclass(frozen=True)
class ModelSizes:
    """All sizes of a DeST model; the defaults are those of the published checkpoints."""

    hidden_size: int = 768  # D, the width of every stream
    head_width: int = 768  # of the space in which videos meet answers; 384 in pre-training
    # image encoder
    image_size: int = 384  # pixels, square
    patch_size: int = 16
    vit_depth: int = 12
    vit_heads: int = 12
    # text/fusion stacks (text_encoder and temporal_encoder)
    num_layers: int = 12
    num_text_layers: int = 6  # the rest are fusion layers
    num_heads: int = 12
    intermediate_size: int = 3072
    vocab_size: int = 30522
    max_text_positions: int = 512
    num_token_types: int = 2
    # answer encoder
    answer_layers: int = 6
    answer_heads: int = 12
    answer_intermediate_size: int = 3072
    # clips
    input_video_embed_size: int = 1024  # width of a clip feature
    max_clips: int = 100  # positions, BOS and EOS not counted

    @property
    def init_std(self) -> float:
        """Of the random start: the published 0.02 at the published width, the same variance of a sum at any other."""
        return 0.02 * (768 / self.hidden_size) ** 0.5

    def text_stack(self, dropout: float) -> TransformerStack:
        return TransformerStack(
            self.hidden_size, self.num_layers, self.num_text_layers, self.num_heads, self.intermediate_size, dropout
        )

    def as_dict(self) -> dict[str, int]:
        return dataclasses.asdict(self)


@dataclass
class VideoStates:
    """What is computed once a video: tokens of its frames, states of its clips."""

    image_tokens: Tensor | None = None  # [V, F, 1 + patches, D]
    clip_states: Tensor | None = None  # [V, S + 2, D]
    clip_mask: Tensor | None = None  # bool [V, S + 2]


@dataclass
class VideoMemory:
    """The same as the fusion layers read it: keys and values of each layer, to be used for any number of questions."""

    frames: list[KeyValue] | None = None  # of [V, F, H, T, D/H]
    num_frames: int = 0
    clips: list[KeyValue] | None = None  # of [V, 1, H, S + 2, D/H]
    clip_mask: Tensor | None = None


def init_linear(linear: nn.Linear, std: float = 0.02) -> None:
    """N(0, std) and a zero bias: the published start of every layer that no checkpoint brings."""
    nn.init.normal_(linear.weight, std=std)
    nn.init.zeros_(linear.bias)


def mlp_head(width: int, out_width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out_width))


class DeST(nn.Module):
    """The network.

    Args:
        sizes: widths, depths, and so on.
        spatial: with the frames' part in the answer (`frame_head`). TRM has none, but carries the image encoder.
        temporal: with the temporal stream. The ``*_mean`` baselines have none.
        drop_rate: dropout of the text/fusion stacks, the clip embedding and the answer encoder.
        frozen_precision: "bf16": a frozen image encoder runs in bfloat16 whatever the rest does; "same": as the rest.
        published_quirks: compute what the published fine-tuning code computed at test time, with its two faults:
            the clip mask is two short, and text positions 0..101 read the clip positions. For the published
            ``anetqa.ckpt`` and ``agqa.ckpt``, whose published figures were got that way; for nothing else.
    """

    def __init__(
        self,
        sizes: ModelSizes,
        *,
        spatial: bool = True,
        temporal: bool = True,
        drop_rate: float = 0.1,
        frozen_precision: str = "same",
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
            sizes.text_stack(drop_rate),
        )
        self.frame_head = mlp_head(width, sizes.head_width) if spatial else None
        if temporal:
            self.temporal_embedding = TemporalEmbedding(
                sizes.input_video_embed_size, width, sizes.max_clips, dropout=drop_rate
            )
            self.temporal_encoder = TemporalEncoder(sizes.text_stack(drop_rate))
            self.video_head = mlp_head(width, sizes.head_width)
        else:
            self.temporal_embedding = self.temporal_encoder = self.video_head = None
        self.ans_encoder = AnswerEncoder(
            DistilBertConfig(
                vocab_size=sizes.vocab_size,
                max_position_embeddings=sizes.max_text_positions,
                dim=width,
                n_layers=sizes.answer_layers,
                n_heads=sizes.answer_heads,
                hidden_dim=sizes.answer_intermediate_size,
                dropout=drop_rate,
                attention_dropout=drop_rate,
                initializer_range=sizes.init_std,
            ),
            out_width=sizes.head_width,
        )
        self.init_weights()

    @property
    def spatial(self) -> bool:
        return self.frame_head is not None

    @property
    def temporal(self) -> bool:
        return self.temporal_encoder is not None

    # --- start -----------------------------------------------------------------------------------------------------

    def init_weights(self) -> None:
        """The random start: Linear and Embedding N(0, `ModelSizes.init_std`), BOS and EOS truncated normal."""
        std = self.sizes.init_std
        for part in (
            self.text_encoder,
            self.temporal_embedding,
            self.temporal_encoder,
            self.frame_head,
            self.video_head,
        ):
            for module in part.modules() if part is not None else ():
                if isinstance(module, nn.Linear):
                    init_linear(module, std)
                elif isinstance(module, nn.Embedding):
                    nn.init.normal_(module.weight, std=std)
        for module in self.ans_encoder.pooler.modules():
            if isinstance(module, nn.Linear):
                init_linear(module, std)
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

    # --- how it is computed ----------------------------------------------------------------------------------------

    def enable_grad_checkpointing(self) -> None:
        """Recomputes the layers' activations in the backward pass instead of keeping them: less memory, more time."""
        self.visual_encoder.set_grad_checkpointing(True)
        self.text_encoder.encoder.grad_checkpointing = True
        if self.temporal:
            self.temporal_encoder.encoder.grad_checkpointing = True
        lm = self.ans_encoder.lm
        # transformers renamed it between the releases that are in use
        getattr(lm, "activation_checkpointing_enable", lm.gradient_checkpointing_enable)()

    def compile_encoders(self) -> None:
        """Compiles, in place, the parts whose shapes repeat from batch to batch: the image and the answer encoder."""
        self.visual_encoder.compile()
        self.ans_encoder.lm.compile(dynamic=True)

    # --- once a video ----------------------------------------------------------------------------------------------

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
            tokens = torch.cat([self.visual_encoder(some) for some in images.split(at_once)])
            return tokens.unflatten(0, frames.shape[:2])

    def encode_clips(self, clips: Tensor, clip_mask: Tensor) -> tuple[Tensor, Tensor]:
        """``[V, S, in]``, bool ``[V, S]`` -> states after the plain temporal layers ``[V, S + 2, D]``, with mask."""
        with float32_in_evaluation(self, clips.device):
            states, mask = self.temporal_embedding(clips, clip_mask, two_short=self.published_quirks)
            return self.temporal_encoder(states, mask), mask

    def encode_videos(self, batch: Mapping[str, Tensor]) -> VideoStates:
        """``frames`` and ``clips, clip_mask`` of a batch, as far as the model has a use for them."""
        states = VideoStates()
        if self.spatial:
            states.image_tokens = self.encode_frames(batch["frames"])
        if self.temporal:
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

    # --- once a question -------------------------------------------------------------------------------------------

    def encode_questions(self, ids: Tensor, mask: Tensor) -> Tensor:
        """``[Q, L]`` -> states after the plain text layers ``[Q, L, D]``."""
        overlay = None
        if self.published_quirks and self.temporal:
            overlay = self.temporal_embedding.frame_pos_embed.weight
        return self.text_encoder(ids, mask, overlay)

    def frame_features(self, hidden: Tensor, mask: Tensor, memory: VideoMemory, counts: Sequence[int]) -> Tensor:
        """The spatial stream: question states ``[Q, L, D]``, grouped by video -> ``[Q, head_width]``."""
        states = self.text_encoder.encoder.fuse(hidden, mask.bool(), memory.frames, memory.num_frames, counts)
        with float32_in_evaluation(self, states.device):
            return self.frame_head(states).mean(1)

    def video_features(self, hidden: Tensor, mask: Tensor, memory: VideoMemory, counts: Sequence[int]) -> Tensor:
        """The temporal stream: question states ``[Q, L, D]``, grouped by video -> ``[Q, head_width]``."""
        states = self.temporal_encoder.encoder.fuse(hidden, mask.bool(), memory.clips, 1, counts, memory.clip_mask)
        with float32_in_evaluation(self, states.device):
            return self.video_head(states[:, 0])

    def question_features(self, ids: Tensor, mask: Tensor, memory: VideoMemory, counts: Sequence[int]) -> Tensor:
        """Questions, grouped by video -> what is compared with the answers, ``[Q, head_width]``.

        Args:
            ids, mask: ``[Q, L]``; questions about one video are adjacent, in the order of the videos.
            counts: number of questions about each video.
        """
        hidden = self.encode_questions(ids, mask)
        features = 0
        if self.spatial:
            features = self.frame_features(hidden, mask, memory, counts)
        if self.temporal:
            features = features + self.video_features(hidden, mask, memory, counts)
        return features

    def question_features_in_chunks(self, batch: Mapping[str, Any], questions_at_once: int) -> Tensor:
        """`question_features` of a whole batch, with memory bounded however many questions its videos have.

        Args:
            batch: as in `forward`, grouped by video, with ``questions_in_video``, ``question_lengths`` (on the host).
            questions_at_once: the most questions in one pass.
        """
        names = ("question_ids", "question_mask", "question_lengths")
        memory = self.project_videos(self.encode_videos(batch))
        return self.question_features_by_length(
            *(batch[name] for name in names), memory, batch["questions_in_video"], questions_at_once
        )

    def question_features_by_length(
        self,
        ids: Tensor,
        mask: Tensor,
        lengths: Sequence[int],
        memory: VideoMemory,
        counts: Sequence[int],
        questions_at_once: int,
    ) -> Tensor:
        """`question_features` in chunks: questions about a video meet with others of about their length.

        Args:
            ids, mask, memory, counts: as in `question_features`.
            lengths: tokens of each question, on the host.
            questions_at_once: the most questions in one pass.
        """
        if len(ids) <= questions_at_once:
            return self.question_features(ids, mask, memory, counts)
        # Padding beyond the longest of a chunk goes.
        order: list[int] = []
        videos: list[int] = []
        for video, count in enumerate(counts):
            order += sorted(range(len(order), len(order) + count), key=lengths.__getitem__)
            videos += [video] * count
        features = []
        for start in range(0, len(order), questions_at_once):
            rows = order[start : start + questions_at_once]
            longest = max(lengths[row] for row in rows)
            present = Counter(videos[start : start + questions_at_once])
            chunk_counts = [present[video] for video in range(len(counts))]
            features.append(self.question_features(ids[rows, :longest], mask[rows, :longest], memory, chunk_counts))
        back = torch.empty(len(order), dtype=torch.long)
        back[torch.tensor(order)] = torch.arange(len(order))
        return torch.cat(features)[back.to(ids.device)]

    # --- all together ----------------------------------------------------------------------------------------------

    def encode_answers(self, ids: Tensor, mask: Tensor, lengths: Sequence[int] | None = None) -> Tensor:
        """``[A, L]`` -> ``[A, head_width]``; `lengths` on the host spare a wait for the device."""
        if lengths is None:
            lengths = mask.sum(1).tolist()
        return self.ans_encoder.encode_by_length(ids, mask, lengths)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Scores of all answers for each question.

        Args:
            batch: ``frames`` [V, F, 3, H, W], ``clips`` [V, S, in] and ``clip_mask`` [V, S] (as far as the model has
                the stream), ``question_ids, question_mask`` [Q, L], ``video_index`` [Q] in any order,
                ``answer_ids, answer_mask`` [A, L].

        Returns:
            logits ``[Q, A]``.
        """
        video_index = batch["video_index"]
        num_videos = len(batch["frames"] if self.spatial else batch["clips"])
        order = torch.argsort(video_index, stable=True)
        counts = torch.bincount(video_index, minlength=num_videos).tolist()
        memory = self.project_videos(self.encode_videos(batch))
        features = self.question_features(batch["question_ids"][order], batch["question_mask"][order], memory, counts)
        answers = self.encode_answers(batch["answer_ids"], batch["answer_mask"])
        return self.score(features, answers)[torch.argsort(order)]

    @staticmethod
    def score(features: Tensor, answers: Tensor) -> Tensor:
        """``[Q, head_width]``, ``[A, head_width]`` -> logits ``[Q, A]``, float32 even under autocast.

        Rounded to bf16, many of the best answers would tie.
        """
        with torch.autocast(features.device.type, enabled=False):
            return features.float() @ answers.float().T
