;; loop3: computes for ever and never answers.
(component
  ;; include imports3.wat
  ;; include lib3.wat
  (core module $Guest
    (func (export "handle") (param i32) (result i32) (loop $again (br $again)) (unreachable))
    (func (export "callback") (param i32 i32 i32) (result i32) (unreachable)))
  ;; include start.wat
  ;; include export3.wat
)
