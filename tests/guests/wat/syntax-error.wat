;; syntax-error: no WebAssembly text at all from the third line on.
(component
  (core modul $Guest
)
