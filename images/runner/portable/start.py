"""Starts the runner in an image that is not ours; `launch` beside it is where that begins.

What `launch` put aside is given back first, so that the environment is the container's again for
whoever looks at it. What only our own libraries shall know is told to them alone: it never gets
into `os.environ`, which the tasks' environment is made of.
"""

import os
import sys

ASIDE = "FACTOTUM_ASIDE_"
PUT_ASIDE = tuple(f"{ASIDE}{name}" for name in ("LD_", "GLIBC_TUNABLES", "LC_ALL"))
SET_BY_LAUNCH = "LC_ALL"
# By the shell that `launch` is: each task's own shell sets them anew.
SET_BY_SHELL = ("_", "OLDPWD", "PWD", "SHLVL")
FOLDER = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120 - pathlib costs start-up


def give_back() -> None:
    """Make the environment what it was before `launch`."""
    for name in (SET_BY_LAUNCH, *SET_BY_SHELL):
        os.environ.pop(name, None)
    for name in [name for name in os.environ if name.startswith(PUT_ASIDE)]:
        os.environ[name.removeprefix(ASIDE)] = os.environ.pop(name)


def tell_libraries() -> None:
    """Keep TLS to our own files; only whom to trust is the image's to say."""
    for name in ("OPENSSL_ENGINES", "OPENSSL_MODULES"):
        os.unsetenv(name)
    os.putenv("OPENSSL_CONF", f"{FOLDER}/etc/openssl.cnf")
    if not (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
        os.putenv("SSL_CERT_FILE", f"{FOLDER}/etc/authorities.pem")
        os.putenv("SSL_CERT_DIR", f"{FOLDER}/etc/none")


give_back()
tell_libraries()
sys.path.insert(0, f"{FOLDER}/app")

from factotum.entry import main  # noqa: E402 - not to be found before

sys.exit(main())
