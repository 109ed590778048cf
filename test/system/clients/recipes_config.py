# Follows the README's connect(): prints one subtree of a datastore.
import sys

source, name, space = sys.argv[1:]
with connect() as session:  # noqa: F821
    subtree = f'<{name} xmlns="{space}"/>'
    print(session.get_config(source=source, filter=("subtree", subtree)).data_xml)
