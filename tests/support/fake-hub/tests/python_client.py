#!/usr/bin/env python3
"""Hugging Face's own Python client against the fake Hub, and sootprint's publisher on the same Hub.

Creates, uploads, reads, edits a card's metadata, opens a pull request, runs into a conflict. Then sootprint publishes
a run, the client reads it and edits its card, and sootprint publishes again without losing the edit.

It starts `fake-hub` and `sootprint` from the target folder, and builds them where they are missing. It fails when
a check fails or too few ran.

Usage: python3 tests/support/fake-hub/tests/python_client.py
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "python"))
from hub_client import ROOT, TARGET, VERSION, run_with_client  # noqa: E402

WEIGHTS = os.urandom(5 * 1024 * 1024 + 80)
CARD = "---\r\nlicense: mit # ours\r\n---\r\n# Digits\r\n"


def main():
    run_with_client(__file__)

    folder = Path(tempfile.mkdtemp())
    hub = subprocess.Popen([binary("fake-hub")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        # The client reads these variables once, when it is imported.
        for _ in range(2):
            name, value = hub.stdout.readline().strip().removeprefix("export ").split("=", 1)
            os.environ[name] = value
        os.environ["HF_HOME"] = str(folder / "home")
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        for name in ["HF_XET_CACHE", "HF_HUB_OFFLINE", "RANK", "SLURM_PROCID", "SOOTPRINT_RANK"]:
            os.environ.pop(name, None)
        made = check_client(folder) + check_publisher(folder)
    finally:
        hub.stdin.close()
        hub.wait(timeout=30)
        shutil.rmtree(folder)
    print(f"huggingface_hub {VERSION} and sootprint on the fake Hub: {made} checks passed")
    if made < 45:
        sys.exit("too few checks ran")


def binary(name):
    path = TARGET / "debug" / name
    if not path.exists():
        package = {"fake-hub": "fake-hub", "sootprint": "sootprint-cli"}[name]
        subprocess.run(["cargo", "build", "--quiet", "--locked", "-p", package], check=True, cwd=ROOT)
    return path


class Checks:
    made = 0

    def equal(self, found, expected, what):
        self.made += 1
        if found != expected:
            sys.exit(f"{what}: {found!r} is not {expected!r}")

    def raises(self, kind, status, call, what):
        self.made += 1
        try:
            call()
        except kind as error:
            self.equal(error.response.status_code, status, what)
        else:
            sys.exit(f"{what}: no {kind.__name__}")


def check_client(folder):
    import huggingface_hub
    from huggingface_hub import CommitOperationAdd, HfApi, ModelCard, hf_hub_download, metadata_update
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError

    checks, api, repo = Checks(), HfApi(), "me/python"
    checks.equal(huggingface_hub.__version__, VERSION, "the client")
    checks.equal(api.whoami()["name"], "loopback", "whoami")
    url = api.create_repo(repo, private=True)
    checks.equal((url.repo_id, api.create_repo(repo, exist_ok=True).repo_id), (repo, repo), "create")
    checks.raises(HfHubHTTPError, 409, lambda: api.create_repo(repo), "create again")

    model = folder / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(WEIGHTS)
    (model / "README.md").write_bytes(CARD.encode())
    api.upload_folder(repo_id=repo, folder_path=model, commit_message="Upload")
    path = hf_hub_download(repo, "model.safetensors")
    checks.equal(Path(path).read_bytes() == WEIGHTS, True, "downloaded weights")
    snapshot = Path(api.snapshot_download(repo))
    checks.equal((snapshot / "README.md").read_bytes(), CARD.encode(), "downloaded card")
    files = {file.path: file for file in api.list_repo_tree(repo)}
    checks.equal(sorted(files), [".gitattributes", "README.md", "model.safetensors"], "the tree")
    checks.equal(files["model.safetensors"].lfs.size, len(WEIGHTS), "weights in the storage")
    checks.equal(files["README.md"].lfs, None, "card in git")
    checks.equal([commit.title for commit in api.list_repo_commits(repo)], ["Upload", "initial commit"], "commits")

    checks.equal(ModelCard.load(repo).data.license, "mit", "ModelCard.load")
    metadata_update(repo, {"co2_eq_emissions": {"emissions": 12.5}})
    checks.equal(ModelCard.load(repo).data.co2_eq_emissions, {"emissions": 12.5}, "metadata_update")
    checks.equal(api.model_info(repo).private, True, "model_info")

    head = api.model_info(repo).sha
    card = CommitOperationAdd("README.md", b"# Proposed\n")
    proposed = api.create_commit(repo, [card], commit_message="Propose", create_pr=True, parent_commit=head)
    checks.equal((proposed.pr_num, proposed.pr_revision), (1, "refs/pr/1"), "a pull request")
    checks.equal(api.model_info(repo).sha, head, "a pull request leaves main")
    text = Path(hf_hub_download(repo, "README.md", revision="refs/pr/1")).read_text()
    checks.equal(text, "# Proposed\n", "the proposed card")

    ModelCard("# Newer\n").push_to_hub(repo, parent_commit=head)
    stale = lambda: ModelCard("# Stale\n").push_to_hub(repo, parent_commit=head)
    checks.raises(HfHubHTTPError, 412, stale, "a conflict")
    checks.equal(ModelCard.load(repo).text.strip(), "# Newer", "after the conflict")
    checks.raises(EntryNotFoundError, 404, lambda: hf_hub_download(repo, "missing"), "a missing file")
    checks.raises(RepositoryNotFoundError, 404, lambda: api.model_info("me/missing"), "a missing repository")
    return checks.made


def check_publisher(folder):
    from huggingface_hub import HfApi, ModelCard, hf_hub_download, metadata_update
    from huggingface_hub.repocard import metadata_load

    checks, api, repo = Checks(), HfApi(), "me/digits"
    (folder / "script.json").write_text(
        json.dumps({"components": [{"kind": "cpu", "name": "Scripted", "watts": [[1.0, 100.0]]}]})
    )
    (folder / "train.sh").write_text('cat > "$SOOTPRINT_RUN_DIR/model.bpk"')
    environment = {**os.environ, "SOOTPRINT_REPLAY": str(folder / "script.json")}

    def sootprint(*arguments, weights=b""):
        command = [binary("sootprint"), *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, input=weights, capture_output=True)
        messages = done.stderr.decode()
        checks.equal(done.returncode, 0, messages)
        return messages

    run = ["run", "--pre-training", "--place", "France", "--out", "run", "--push", repo, "--", "sh", "train.sh"]
    messages = sootprint(*run, weights=WEIGHTS)
    checks.equal("pushed to" in messages, True, messages)
    checks.equal(len(api.list_repo_commits(repo)), 2, "number of commits")
    checks.equal(Path(hf_hub_download(repo, "model.bpk")).read_bytes() == WEIGHTS, True, "its weights")
    card = ModelCard.load(repo)
    emissions = card.data.co2_eq_emissions
    checks.equal(emissions["emissions"] > 0, True, "its emissions")
    checks.equal(emissions["geographical_location"], "France", "its place")

    metadata_update(repo, {"license": "mit"})
    (folder / "run" / "config.json").write_text("{}")
    messages = sootprint("push", "run", repo)
    checks.equal("pushed to" in messages, True, messages)
    card = ModelCard.load(repo)
    checks.equal(card.data.license, "mit", "license set by the client")
    checks.equal(card.data.co2_eq_emissions, emissions, "emissions after the edit")
    local = (folder / "run" / "README.md").read_bytes()
    checks.equal(Path(hf_hub_download(repo, "README.md")).read_bytes(), local, "local and remote card")
    checks.equal("is up to date" in sootprint("push", "run", repo), True, "an unchanged push sends nothing")

    # The Hub's own filter finds the card by its emissions.
    grams = emissions["emissions"]
    found = lambda *thresholds: [it.id for it in api.list_models(emissions_thresholds=thresholds, cardData=True)]
    checks.equal(found(grams / 2, grams * 2), [repo], "models with these emissions")
    checks.equal(found(grams * 2, grams * 3), [], "models with other emissions")
    info = api.model_info(repo)
    checks.equal("co2_eq_emissions" in info.tags and "license:mit" in info.tags, True, f"tags {info.tags}")

    # A folder with subfolders arrives whole, and its card is read by the client's own function.
    shape = folder / "shape"
    shutil.copytree(folder / "run", shape)
    for name in ["unet/config.json", "1_Pooling/config.json", "merges.txt", "chat_template.jinja", "a.gguf"]:
        (shape / name).parent.mkdir(exist_ok=True)
        (shape / name).write_text(name)
    for name in ["checkpoint-1/optimizer.pt", "hf_token.txt", ".env"]:
        (shape / name).parent.mkdir(exist_ok=True)
        (shape / name).write_text("never")
    sootprint("push", "shape", "me/shape", "--private")
    expected = {".gitattributes", "README.md", "footprint.json", "config.json", "model.bpk", "unet/config.json"}
    expected |= {"1_Pooling/config.json", "merges.txt", "chat_template.jinja", "a.gguf"}
    checks.equal(set(api.list_repo_files("me/shape")) - {"sootprint.png"}, expected, "the files of the folder")
    card = metadata_load(hf_hub_download("me/shape", "README.md"))
    checks.equal(card["co2_eq_emissions"]["emissions"], grams, "metadata_load")
    checks.equal(api.model_info("me/shape").private, True, "private")
    api.move_repo("me/shape", "me/form")
    (shape / "notes.txt").write_text("renamed")
    messages = sootprint("push", "shape", "me/shape", "--private")
    checks.equal("/me/form in commit" in messages, True, messages)
    checks.equal(Path(hf_hub_download("me/form", "notes.txt")).read_text(), "renamed", "the new name")
    api.delete_repo("me/form")
    checks.equal(api.repo_exists("me/form"), False, "delete")
    return checks.made


if __name__ == "__main__":
    main()
