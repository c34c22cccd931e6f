"""What `make mutants` changes in a function, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

from .operators import mutants

MODULE = '''
LIMIT = 3

class Gate:
    @property
    def is_shut(self) -> bool:
        """Tell whether it is shut."""
        return cast("bool", self.until > self.now() and not self.over)

def judge(value: int = 5) -> str:
    while value:
        log.warn("slow", code=value - 1)
        break
    match value:
        case 1:
            return "one"
        case _:
            assert_never(value)
'''


def names(tmp_path: Path, text: str) -> list[str]:
    """The mutants of a module with this text."""
    path = tmp_path / "module.py"
    path.write_text(text)
    return [mutant.name for mutant in mutants(path)]


def test_each_change_of_a_function_is_a_mutant(tmp_path: Path) -> None:
    """Operators, constants, arguments, conditions, calls and cases; no type, default or docstring, nothing outside."""
    expected = {
        "module.Gate.is_shut: ...rn cast('bool', self.until > self.now() [and (not self.over) -> or not self.over])",
        "module.Gate.is_shut: return cast('bool', self.until >[ -> =] self.now() and (not self.over))",
        "module.Gate.is_shut: ...ast('bool', self.until > self.now() and [(not self.over) -> self.over])",
        "module.judge: while [value -> not value]:",
        "module.judge: without log.warn('slow', code=value - 1)",
        "module.judge: log.warn(['slow' -> None], code=value - 1)",
        "module.judge: log.warn('slow', code=[value - 1 -> None])",
        "module.judge: log.warn('slow'[, code=value - 1 -> ])",
        "module.judge: log.warn('[slow -> XXslowXX]', code=value - 1)",
        "module.judge: log.warn('slow', code=value [- -> +] 1)",
        "module.judge: log.warn('slow', code=value - [1 -> 2])",
        "module.judge: [break -> return]",
        "module.judge: without case 1",
        "module.judge: case [1 -> 2]:",
        "module.judge: return '[one -> XXoneXX]'",
    }
    assert expected == set(names(tmp_path, MODULE))


def test_a_mutant_differs_in_nothing_else(tmp_path: Path) -> None:
    """Only one place changes, and only in a tree of its own making."""
    path = tmp_path / "module.py"
    path.write_text("def double(x):\n    return x * 2\n")
    of = [mutant for mutant in mutants(path) if "3" in mutant.text]
    scope: dict[str, object] = {}
    exec(compile(of[0].apply(), "module", "exec"), scope)
    double = scope["double"]
    assert callable(double)
    assert 9 == double(3)
