package AI::MXNet::NDArray::Base;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;

# The methods themselves are made from the operator table when AI::MXNet::Keshi is loaded.

sub function_meta
{
    my ($class, $name) = @_;
    my $info = AI::MXNet::Keshi::operator($name);
    my @lines =
        map { "$_->{name} : $_->{type}" . (length $_->{doc} ? "\n    $_->{doc}" : '') } @{ $info->{params} };
    my $tensors = join ', ', map { $info->{variadic} ? "$_..." : $_ } @{ $info->{inputs} };
    my $doc = "$info->{doc}\n\nInputs: " . ($tensors || 'none') . "\n";
    $doc .= "\nParameters\n----------\n" . join("\n", @lines) . "\n" if @lines;
    return { __name__ => $name, __doc__ => $doc };
}

sub function_meta_hash
{
    my $class = shift;
    return { map { $_ => $class->function_meta($_) } AI::MXNet::Keshi::operators(1) };
}

1;

__END__

=head1 NAME

AI::MXNet::NDArray::Base - one method for each operator

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $x = nd->array([[1, 2], [3, 4]]);
    print nd->sum($x, axis => 1)->aspdl, "\n";           # through the class
    print $x->sum({ axis => 1 })->aspdl, "\n";           # through the array
    print nd->clip(data => $x, a_min => 2, a_max => 3)->aspdl;
    my $out = nd->zeros([2, 2]);
    nd->sqrt($x, out => $out);
    print AI::MXNet::NDArray->function_meta('sqrt')->{__doc__};

=head1 DESCRIPTION

Every operator of the library, under its name and each of its other names, is a method of this class, from which
L<AI::MXNet::NDArray> inherits. All are called alike:

=over 4

=item *

Arrays are the operator's inputs in order; other values are its parameters in the order that its documentation gives.

=item *

Trailing C<< name => value >> pairs are parameters, or inputs, by name. If the last argument is a hash, it is all of them.

=item *

C<< out => $array >> (or a list of arrays) receives the result, and is what the call returns. C<name> is accepted and has
no effect.

=item *

An array on which the method is called is the input when no other is given; else it counts as a class.

=item *

The result is an array, or a list of arrays where the operator has several outputs.

=back

Values of parameters are numbers, text (C<'relu'>, C<'float32'>, C<'(1, 2)'>), lists (with C<undef> for None) and contexts.

C<function_meta($name)> gives name and documentation of one operator, C<function_meta_hash> of all.

=head1 DIAGNOSTICS

A call dies at the caller's line. The message names the operator: C<Too many positional arguments>, C<Cannot find argument>,
or what the library has against shapes, dtypes or values: what it got, and what it wants.

=cut
