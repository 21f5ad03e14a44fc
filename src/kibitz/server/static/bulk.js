// An action in steps goes on by itself.
document.querySelector("form[data-go-on]")?.requestSubmit();
