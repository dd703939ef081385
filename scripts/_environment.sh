# Sourced by the scripts: creates .venv in the checkout (or $VENV), and updates it when the requirements change.
# Usage: . scripts/_environment.sh; prepare EXTRA[,EXTRA…]; PYTHON=python3.13 chooses the interpreter.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="${VENV:-$ROOT/.venv}"

# The scripts start many processes: without compiled files, each would compile all modules again.
export PYTHONDONTWRITEBYTECODE=

say() { printf '%s\n' "$*" >&2; }

has_venv() { "$1" -c 'import venv, ensurepip' 2>/dev/null; }

# With a sourced ROS 2, the interpreter for which its packages were built is used, regardless of the version.
ros_is_sourced() { [ -n "${ROS_DISTRO:-}" ] && "$1" -c 'import rclpy' 2>/dev/null; }

has_wheels() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; }

find_python() {
  local candidate candidates="${PYTHON:-python3 python3.12 python3.11 python3.13 python3.10 python3.14}"
  for candidate in $candidates; do
    command -v "$candidate" >/dev/null || continue
    { ros_is_sourced "$candidate" || has_wheels "$candidate"; } && has_venv "$candidate" || continue
    command -v "$candidate"
    return
  done
  say "depth_ros needs Python 3.10 to 3.14 with the venv module, but none of these was found: $candidates."
  say "On Debian or Ubuntu: sudo apt install python3 python3-venv"
  return 1
}

check_wheels() {
  # Wheels of ROS 2 exist only for x86-64 Linux.
  [ "$(uname -s) $(uname -m)" = "Linux x86_64" ] && return
  say "There are no ROS 2 wheels for $(uname -s) $(uname -m). Install ROS 2 (https://docs.ros.org, Humble or later),"
  say "source its setup.bash and run this again; its packages are then used."
  return 1
}

prepare() {
  local python extras="$1" ros_extra="${ROS_EXTRA:-ros}" options=() stamp
  python="$(find_python)" || return 1
  if ros_is_sourced "$python"; then
    options=(--system-site-packages)
  else
    check_wheels || return 1
    extras="$ros_extra,$extras"
  fi
  stamp="$VENV/depth_ros.$(printf '%s\n' "$extras" "$python" "${options[*]}" "$ROOT" |
    cat - "$ROOT/setup.py" "$ROOT/pyproject.toml" | cksum | cut -d' ' -f1)"
  [ -e "$stamp" ] && return
  say "Preparing $VENV (about a minute, once) …"
  [ -x "$VENV/bin/python" ] || "$python" -m venv "${options[@]}" "$VENV" || {
    say "The virtual environment could not be created. On Debian or Ubuntu: sudo apt install python3-venv"
    return 1
  }
  export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONWARNINGS=ignore
  "$VENV/bin/python" -m pip install --quiet --upgrade pip &&
    case ",$extras," in *,export,*) "$VENV/bin/python" -m pip install --quiet "torch==2.13.0" ;; esac &&
    "$VENV/bin/python" -m pip install --quiet -e "$ROOT[$extras]" || {
    say "Packages could not be installed from PyPI; see the message of pip above. Check the network connection."
    return 1
  }
  touch "$stamp"
}
