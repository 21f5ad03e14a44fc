"""What a moderation service says of a text: how likely each kind of harm is, from 0 to 1, as the service gives it.

Lower is better. A service that judges other kinds than these has no score for the ones it lacks.
"""

from __future__ import annotations

from abc import abstractmethod


class Moderations:
    """Has one method for each kind of harm; those who inherit say how the service is asked."""

    @abstractmethod
    def _moderation(self, category: str, text: str) -> float:
        """The score of a category, by the service's name for it."""

    @abstractmethod
    async def _amoderation(self, category: str, text: str) -> float:
        """The same as a coroutine."""

    def moderation_hate(self, text: str) -> float:
        """Hatred of a group of people."""
        return self._moderation("hate", text)

    async def amoderation_hate(self, text: str) -> float:
        """`moderation_hate` as a coroutine."""
        return await self._amoderation("hate", text)

    def moderation_hatethreatening(self, text: str) -> float:
        """Hatred of a group of people with threats of violence."""
        return self._moderation("hate/threatening", text)

    async def amoderation_hatethreatening(self, text: str) -> float:
        """`moderation_hatethreatening` as a coroutine."""
        return await self._amoderation("hate/threatening", text)

    def moderation_selfharm(self, text: str) -> float:
        """Doing harm to oneself."""
        return self._moderation("self-harm", text)

    async def amoderation_selfharm(self, text: str) -> float:
        """`moderation_selfharm` as a coroutine."""
        return await self._amoderation("self-harm", text)

    def moderation_sexual(self, text: str) -> float:
        """Sexual content."""
        return self._moderation("sexual", text)

    async def amoderation_sexual(self, text: str) -> float:
        """`moderation_sexual` as a coroutine."""
        return await self._amoderation("sexual", text)

    def moderation_sexualminors(self, text: str) -> float:
        """Sexual content with minors."""
        return self._moderation("sexual/minors", text)

    async def amoderation_sexualminors(self, text: str) -> float:
        """`moderation_sexualminors` as a coroutine."""
        return await self._amoderation("sexual/minors", text)

    def moderation_violence(self, text: str) -> float:
        """Death, violence or injury."""
        return self._moderation("violence", text)

    async def amoderation_violence(self, text: str) -> float:
        """`moderation_violence` as a coroutine."""
        return await self._amoderation("violence", text)

    def moderation_violencegraphic(self, text: str) -> float:
        """Death, violence or injury in graphic detail."""
        return self._moderation("violence/graphic", text)

    async def amoderation_violencegraphic(self, text: str) -> float:
        """`moderation_violencegraphic` as a coroutine."""
        return await self._amoderation("violence/graphic", text)

    def moderation_harassment(self, text: str) -> float:
        """Harassing language."""
        return self._moderation("harassment", text)

    async def amoderation_harassment(self, text: str) -> float:
        """`moderation_harassment` as a coroutine."""
        return await self._amoderation("harassment", text)

    def moderation_harassment_threatening(self, text: str) -> float:
        """Harassing language with threats of violence."""
        return self._moderation("harassment/threatening", text)

    async def amoderation_harassment_threatening(self, text: str) -> float:
        """`moderation_harassment_threatening` as a coroutine."""
        return await self._amoderation("harassment/threatening", text)
