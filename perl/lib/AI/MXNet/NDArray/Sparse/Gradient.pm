package AI::MXNet::NDArray::Sparse::Gradient;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use Scalar::Util qw(blessed);

# Gradients of sparse arrays, and sparse gradients: as rows under the owner, or those of the twin.

my $sparse = 'AI::MXNet::NDArray::Sparse';

# The gradient of an array, or of the owner of a row_sparse one, which the tape keeps as rows.
sub grad_of
{
    my ($class, $leaf, $shape, $dtype) = @_;
    return $class->_new_like(
        $leaf,
        row_sparse => $shape // $leaf->shape,
        leaf => $leaf,
        dtype => $dtype // $leaf->dtype
    );
}

# A gradient buffer seen as a sparse array.
sub grad_over { my ($class, $buffer, $stype) = @_; return $class->over($buffer, $stype, 1) }

sub attach_grad
{
    my ($self, %given) = @_;
    my $stype = delete $given{stype} // $self->{stype};
    delete @$self{qw(owner grad_stype)};
    if ($self->{stype} eq 'row_sparse' and $stype eq 'row_sparse') {
        $self->{parts} = $self->_parts;
        delete @$self{qw(twin version)};
        $self->{owner} = AI::MXNet::NDArray->empty([0], dtype => $self->{dtype}, ctx => $self->{ctx});
        AI::MXNet::Keshi::attach_grad_rows($self->{owner}, $given{grad_req} // 'write');
        return;
    }
    $self->twin->attach_grad(%given);
    $self->{grad_stype} = $stype;
    return;
}

sub grad
{
    my $self = shift;
    return $sparse->grad_of($self->{owner}, @$self{qw(shape dtype)}) if $self->{owner};
    my $grad = $self->{twin} && $self->{twin}->grad or return;
    return $grad if ($self->{grad_stype} // 'default') eq 'default';
    return $sparse->grad_over($grad, $self->{grad_stype});
}

# Variables and the arrays for their gradients, some of which are sparse.
sub mark_variables
{
    my ($variables, $gradients, $requests) = @_;
    my $is_sparse = sub { blessed($_[0]) && $_[0]->isa($sparse) };
    for my $i (0 .. $#$variables) {
        my ($variable, $gradient) = ($variables->[$i], $gradients->[$i]);
        my $request = ref $requests ? $requests->[$i] : $requests // 'write';
        my $by_rows = $gradient->stype eq 'row_sparse' && $variable->stype ne 'csr';
        if ($by_rows) {
            $variable->attach_grad(grad_req => $request, stype => 'row_sparse');
            my $first = $gradient->_parts;
            delete @$gradient{qw(twin version parts)};
            $gradient->{leaf} = $is_sparse->($variable) ? $variable->{owner} : $variable;
            $gradient->_put($first);
            next;
        }
        my ($array, $buffer) = map { $is_sparse->($_) ? $_->twin : $_ } $variable, $gradient;
        AI::MXNet::AutoGrad->mark_variables([$array], [$buffer], grad_reqs => [$request]);
        $variable->{grad_stype} = $gradient->stype if $is_sparse->($variable);
    }
    return;
}

sub backward
{
    my ($self, @given) = @_;
    return $self->twin->backward(@given);
}

sub _fresh_grad
{
    my ($self, @value) = @_;
    my $array = $self->{owner} // $self->twin;
    return $array->_fresh_grad(@value);
}

1;
