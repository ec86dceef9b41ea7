// Follows the theme chosen in Airflow, and lets links to Airflow's own pages leave its frame.
(() => {
  const themes = ["light", "dark"];
  const page = document.documentElement;
  const airflow = (() => {
    try { return parent === window ? null : parent.document; } catch { return null; /* a frame of another site */ }
  })();
  const shown = () => themes.find((theme) => airflow?.documentElement.classList.contains(theme));
  const kept = () => {
    try { return themes.find((theme) => theme === localStorage.getItem("theme")); } catch { return undefined; }
  };
  const follow = () => { page.style.colorScheme = shown() ?? kept() ?? ""; };
  follow();
  addEventListener("storage", follow);
  if (!airflow) return;

  new MutationObserver(follow).observe(airflow.documentElement, { attributeFilter: ["class"] });
  addEventListener("click", (event) => {
    const link = event.target.closest('a[target="_top"]');
    if (link?.origin !== location.origin || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    // The sandbox keeps the frame's own links from the top; those of Airflow's document lead there.
    const way = airflow.createElement("a");
    way.href = link.href;
    way.target = "_top";
    way.click();
  });
})();
