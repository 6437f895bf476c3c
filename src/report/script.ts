/**
 * What the page gains from a script: tables that sort, and figures under the pointer. Everything can be read without it.
 * The page's policy lets in exactly this text, and nothing that a record could bring.
 */
export const SCRIPT = `
'use strict';
for (const table of document.querySelectorAll('table.sortable')) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const valueOf = (row, column) => {
    const data = row.cells[column].querySelector('data');
    if (data === null) return row.cells[column].textContent.trim();
    return data.value === '' ? null : Number(data.value);
  };
  const compare = (a, b) => typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), 'en', { numeric: true });
  const sort = (column, ascending) => {
    const rows = [...body.rows].map((row) => ({ row, value: valueOf(row, column) }));
    rows.sort((a, b) => {
      if (a.value === null || b.value === null) return (a.value === null) - (b.value === null);
      return ascending ? compare(a.value, b.value) : compare(b.value, a.value);
    });
    body.append(...rows.map(({ row }) => row));
    heads.forEach((head, index) => {
      if (index === column) head.setAttribute('aria-sort', ascending ? 'ascending' : 'descending');
      else head.removeAttribute('aria-sort');
    });
  };
  heads.forEach((head, column) => {
    if (head.classList.contains('wide')) return;
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      const now = head.getAttribute('aria-sort');
      const numbers = body.rows[0]?.cells[column].querySelector('data') != null;
      sort(column, now === null ? !numbers : now === 'descending');
    });
  });
}
const tip = document.createElement('div');
tip.className = 'tip';
tip.hidden = true;
document.body.append(tip);
for (const hit of document.querySelectorAll('.hit')) {
  const title = hit.querySelector('title');
  const text = title.textContent;
  hit.setAttribute('aria-label', text);
  title.remove();
  hit.addEventListener('pointermove', (event) => {
    tip.textContent = text;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = Math.max(8, Math.min(event.clientX + 14, innerWidth - width - 8)) + 'px';
    tip.style.top = Math.max(8, Math.min(event.clientY + 14, innerHeight - height - 8)) + 'px';
  });
  hit.addEventListener('pointerleave', () => { tip.hidden = true; });
}
`
