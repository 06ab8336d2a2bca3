package AI::MXNet::CustomOp;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;

sub new
{
    my ($class, %fields) = @_;
    return bless {%fields}, $class;
}

sub forward { return AI::MXNet::Keshi::fail((ref $_[0] || $_[0]) . ': want a method forward') }
sub backward { return AI::MXNet::Keshi::fail((ref $_[0] || $_[0]) . ': want a method backward') }

sub assign
{
    my ($self, $to, $req, $value) = @_;
    return if $req eq 'null';
    AI::MXNet::Keshi::fail("assign: req got $req, want null, write, inplace or add")
        if $req !~ /^(?:write|inplace|add)$/;
    $value = $to + $value if $req eq 'add';
    $to .= $value;
    return;
}

1;

__END__

=head1 NAME

AI::MXNet::CustomOp - what an operator of one's own computes

=head1 SYNOPSIS

    use AI::MXNet qw(mx);

    package Square;
    use parent -norequire, 'AI::MXNet::CustomOp';

    sub forward
    {
        my ($self, $is_train, $req, $in_data, $out_data, $aux) = @_;
        $self->assign($out_data->[0], $req->[0], $in_data->[0] * $in_data->[0]);
    }

    sub backward
    {
        my ($self, $req, $out_grad, $in_data, $out_data, $in_grad, $aux) = @_;
        $self->assign($in_grad->[0], $req->[0], 2 * $in_data->[0] * $out_grad->[0]);
    }

    package main;
    my $x = nd->array([1, 2, 3]);
    my $y = nd->zeros([3]);
    Square->new->forward(0, ['write'], [$x], [$y], []);
    print $y->aspdl, "\n";

=head1 DESCRIPTION

The base class of what C<create_operator> of an L<AI::MXNet::CustomOpProp> makes. An object lives from a call to its gradient, so
what C<forward> leaves in its fields is there in C<backward>. A bound graph makes one object when it is bound. A hybridized block that holds
such a call is not compiled.

=over 4

=item new(%fields)

An object with these fields.

=item forward($is_train, \@req, \@in_data, \@out_data, \@aux)

Puts the results into the arrays of C<@out_data>, which are zeros. What it computes with is not recorded, and may be anything.

=item backward(\@req, \@out_grad, \@in_data, \@out_data, \@in_grad, \@aux)

Puts the gradients of the inputs into the arrays of C<@in_grad>, which are zeros; C<$req-E<gt>[$i]> is C<null> where none is wanted.
C<@out_grad> is empty where C<need_top_grad> is 0. It is not recorded either, so there is no second order.

=item assign($to, $req, $value)

Writes an array, a PDL or a number as C<$req> says: C<null>, C<write>, C<inplace> or C<add>.

=back

=head1 DIAGNOSTICS

What dies in a method is the error of the call, which names C<Custom> and the operator.

=head1 SEE ALSO

L<AI::MXNet::Operator>, L<AI::MXNet::CustomOpProp>, L<AI::MXNet::AutoGrad::Function>

=cut
