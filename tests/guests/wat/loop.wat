;; loop: computes for ever and never answers.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (func (export "handle") (param $request i32) (param $out i32)
      (loop $for-ever (br $for-ever))))
  ;; include start.wat
  ;; include export.wat
)
