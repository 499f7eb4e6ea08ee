// Elements under names that may be taken: the script may be loaded twice, and the first one wins.

export function element(name: string) {
  return <Class extends CustomElementConstructor>(kind: Class): void => {
    if (customElements.get(name) === undefined) customElements.define(name, kind);
  };
}
