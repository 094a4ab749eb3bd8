# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

# This module is private to the collection.

"""The one place that knows ``AnsibleModule``: options in, clients out, results and failures back.

Ansible is imported where it is used. A program that looks at a host by itself has none.
"""

from __future__ import annotations

import errno
import functools
import re
import traceback
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from . import _argspec
from ._core import libraries, urls
from ._core import transport as _transport
from ._core.errors import ConfigurationError, DevshardError
from ._core.keys import is_secret
from ._core.options import read_options
from ._core.outcomes import PartialFailure
from ._core.over_stdlib import OverStdlib
from ._core.timer import WaitBudget
from ._gateway import env_file as _env_file
from ._gateway.profiles import Profile, profile

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ansible.module_utils.basic import AnsibleModule

_Options = t.TypeVar("_Options")
_Client = t.TypeVar("_Client")

_SHORTEST_HIDDEN: t.Final = 8
_WITH_USER: t.Final = re.compile(r"https?://[^/]*@")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a module returns. ``before`` and ``after`` become the diff when one is asked for."""

    changed: bool
    values: dict[str, t.Any] = field(default_factory=dict)
    before: dict[str, t.Any] | str | None = None
    after: dict[str, t.Any] | str | None = None


class MadeOnce:
    """Clients, each made once: by the function that stands for it."""

    def __init__(self) -> None:
        self._made: dict[t.Any, t.Any] = {}

    def once(self, key: t.Any, make: Callable[[], _Client]) -> _Client:
        if key not in self._made:
            self._made[key] = make()
        made: _Client = self._made[key]
        return made


class Context:
    """One module run: its options and, made when first used, the clients they describe."""

    predicts = False
    """Whether this is the prediction of a module inside the run of another one."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self.params: dict[str, t.Any] = module.params
        self.check_mode: bool = module.check_mode
        self.run_command = module.run_command
        self.shared = MadeOnce()
        """What all predictions of one run share, so that all judge the same moment."""
        self._made = MadeOnce()

    def once(self, key: t.Any, make: Callable[[], _Client]) -> _Client:
        """A client of this run, made when it is first asked for.

        What makes it lies in ``_clients``, so that a module carries to its host only what it uses:
        there everything is compiled again in every run.
        """
        return self._made.once(key, make)

    def inner(
        self,
        spec: _argspec.ArgumentSpec,
        params: dict[str, t.Any],
        deadline: WaitBudget | None = None,
    ) -> Context:
        """For the prediction of another module inside this run, which changes nothing.

        ``deadline`` is the end of all its waiting for answers.
        """
        from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

        validated = ArgumentSpecValidator(**spec.to_kwargs()).validate(params)
        if validated.error_messages:
            raise ConfigurationError("; ".join(validated.error_messages))
        return _Inner(self._module, validated.validated_parameters, self.shared, deadline)

    def warn(self, text: str) -> None:
        self._module.warn(text)

    def hide(self, secret: str) -> None:
        """Keep a secret that came from a file out of everything this run returns.

        Not a very short one: Ansible masks it wherever it occurs, also inside other words.
        """
        if len(secret) >= _SHORTEST_HIDDEN:
            self._module.no_log_values.add(secret)

    def hide_secrets(self, variables: Mapping[str, t.Any]) -> None:
        """Hide what an environment holds under the names of secrets, lists of keys also by key."""
        for name, raw in variables.items():
            value = str(raw or "")
            if is_secret(name):
                for secret in (value, *value.split(",")):
                    self.hide(secret.strip())
            for secret in urls.user_of(value):
                self.hide(secret)

    def hide_passwords(self) -> None:
        """User information in URLs is refused later, but Ansible shows all arguments."""
        for name, value in self.params.items():
            if isinstance(value, str) and _WITH_USER.match(value):
                for secret in urls.user_of(value):
                    self.hide(secret)
                # a short one cannot be hidden everywhere, so it is taken out
                self.params[name] = urls.without_user(value)

    def read(self, kind: type[_Options]) -> _Options:
        """The options of this run that ``kind``, a dataclass, has fields for."""
        return read_options(kind, self.params)

    def positive(self, *options: str) -> None:
        """Refuse numbers that must be more than 0."""
        for name in options:
            if self.params[name] <= 0:
                raise ConfigurationError(f"{name} must be more than 0, got {self.params[name]}")

    @functools.cached_property
    def profile(self) -> Profile:
        options = self.read(_argspec.ProfileOptions)
        return profile(options.gateway_profile, options.gateway_protocol)

    @functools.cached_property
    def transport(self) -> _transport.HttpTransport:
        return self.new_transport()

    def new_transport(
        self,
        deadline: WaitBudget | None = None,
        *,
        read_once: bool = False,
        only_python: bool = False,
        of_part: bool = False,
    ) -> _transport.HttpTransport:
        """One whose next request certainly uses a connection of its own.

        ``deadline`` is the end of all waiting of all its requests. ``only_python`` is for a look at
        a host that may have nothing else yet, ``of_part`` for a part of a run that may fail alone.
        """
        missing = libraries.why_missing("requests")
        if missing is not None and of_part:
            raise _lacking("requests") from missing
        if missing is not None and not only_python:
            self._missing("requests", missing)
        self.positive("request_timeout")
        options = self.read(_argspec.HttpOptions)
        if options.ca_path is not None and not Path(options.ca_path).exists():
            raise ConfigurationError(
                f"devshard_ca_path (ca_path): {options.ca_path} does not exist on this host"
            )
        return _transport.HttpTransport(
            timeout=options.request_timeout,
            validate_certs=options.validate_certs,
            ca_path=options.ca_path,
            deadline=deadline,
            read_once=read_once,
            over=_transport.ByPlace if missing is None else OverStdlib,
        )

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        """Run a program of this host: its status, stdout and stderr."""
        rc, stdout, stderr = self._module.run_command(
            argv, environ_update={"LC_ALL": "C"}, check_rc=False, handle_exceptions=True
        )
        return rc, stdout, stderr

    def try_program(self, argv: list[str]) -> tuple[int, str, str]:
        """As :meth:`run`, but a program that cannot be run is an ``OSError``."""
        rc, stdout, stderr = self._module.run_command(
            argv, environ_update={"LC_ALL": "C"}, check_rc=False, handle_exceptions=False
        )
        return rc, stdout, stderr

    def need_docker(self) -> None:
        missing = libraries.why_missing("docker")
        if missing is not None:
            self._missing("docker", missing)

    def _missing(self, name: str, exc: ImportError) -> t.NoReturn:
        from ansible.module_utils.basic import missing_required_lib

        self._module.fail_json(msg=missing_required_lib(name), exception=exc)
        raise exc

    @functools.cached_property
    def environment(self) -> dict[str, str] | None:
        """The environment file's variables; None when there is no such file."""
        return self.environment_in(Path(self.read(_argspec.EnvFileOptions).env_file))

    def environment_in(self, file: Path) -> dict[str, str] | None:
        """The same of another environment file."""
        text = _env_file.read(file)
        if text is None:
            return None
        found = _env_file.parse(text, str(file))
        self.hide_secrets(found)
        return found

    def secret(self, option: str, variable: str, file: str | None = None) -> str:
        """A secret from its option, else from the environment file or from ``file``."""
        given: str | None = self.params.get(option)
        if given is not None:
            return given
        variables = self.environment if file is None else self.environment_in(Path(file))
        found = (variables or {}).get(variable)
        if not found:
            where = file or self.params["env_file"]
            raise ConfigurationError(
                f"{where} does not set {variable}"
                if variables is not None
                else f"there is no {where} to read {variable} from. Set devshard_env_file (env_file)"
                " to the environment file of the gateway"
            )
        return found

    def deadline(self) -> WaitBudget:
        self.positive("wait_timeout", "wait_interval")
        return WaitBudget(self.read(_argspec.WaitOptions).wait_timeout)


class _Inner(Context):
    """A prediction. What it lacks is an error of its own, and what it reads is read once."""

    predicts = True

    def __init__(
        self,
        module: AnsibleModule,
        params: dict[str, t.Any],
        shared: MadeOnce,
        deadline: WaitBudget | None,
    ) -> None:
        super().__init__(module)
        self.params = params
        self._end = deadline
        self.check_mode = True
        self.shared = shared

    def _missing(self, name: str, exc: ImportError) -> t.NoReturn:
        raise _lacking(name) from exc

    @functools.cached_property
    def transport(self) -> _transport.HttpTransport:
        names = ("request_timeout", "validate_certs", "ca_path")
        key = (self._end, *(self.params[name] for name in names))
        return self.shared.once(key, lambda: self.new_transport(self._end, read_once=True))


def _lacking(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"the Python library {name} is missing on this host; the playbook site installs it"
    )


def run_module(spec: _argspec.ArgumentSpec, work: Callable[[Context], Outcome]) -> None:
    """Run one module. Errors that have a name become a failure; any other is a bug and stays one.

    The exception is given as text: of an object ansible-core repeats the message for each cause.
    """
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(supports_check_mode=True, **spec.to_kwargs())
    context = Context(module)
    context.hide_passwords()
    try:
        outcome = work(context)
    except PartialFailure as exc:
        module.fail_json(
            msg=str(exc),
            exception=traceback.format_exc(),
            failure=exc.to_failure(),
            **{**exc.result.to_result(), "changed": exc.result.changed},
        )
    except DevshardError as exc:
        failure = exc.to_failure()
        module.fail_json(
            msg=str(exc),
            exception=traceback.format_exc(),
            failure=failure,
            changed=bool(failure.get("changed", False)),
        )
    except PermissionError as exc:
        module.fail_json(
            msg=f"{exc.filename}: permission denied. Run with become: true",
            exception=traceback.format_exc(),
            failure={"kind": ConfigurationError.kind, "message": str(exc)},
        )
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        module.fail_json(
            msg=f"{exc.filename or 'this host'}: {exc.strerror}. Make room and run this again",
            exception=traceback.format_exc(),
            failure={"kind": ConfigurationError.kind, "message": str(exc)},
        )
    else:
        result = {"changed": outcome.changed, **outcome.values}
        if module._diff and outcome.before is not None and outcome.after is not None:
            result["diff"] = {"before": outcome.before, "after": outcome.after}
        module.exit_json(**result)
