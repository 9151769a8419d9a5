"""Write nightdesk/api/openapi.json and nightdesk/api/docs.html (`make openapi`)."""

from local.openapi import FOLDER
from local.openapi.files import made_files


def main() -> None:
    for name, text in made_files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"nightdesk/api/{name}: {len(text):,} characters")


if __name__ == "__main__":
    main()
