;; trap: traps before it answers.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (func (export "handle") (param $request i32) (param $out i32)
      (unreachable)))
  ;; include start.wat
  ;; include export.wat
)
