package AI::MXNet::Gluon::Constant;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Logging;
use AI::MXNet::Gluon::Parameter;
use Mouse;
use Scalar::Util qw(blessed);

extends 'AI::MXNet::Gluon::Parameter';

# A parameter that is never trained.

has value => (is => 'ro', required => 1);

sub python_constructor_arguments { return [qw(name value)] }

sub BUILD
{
    my $self = shift;
    $self->{value} = AI::MXNet::NDArray->array($self->{value})
        if not blessed($self->{value})
        or not $self->{value}->isa('AI::MXNet::NDArray');
    $self->{grad_req} = 'null';
    $self->{shape} = $self->{value}->shape;
    $self->{dtype} = $self->{value}->dtype;
    $self->{init} = AI::MXNet::Gluon::Constant::Init->new(value => $self->{value});
    return;
}

sub grad_req
{
    my ($self, $req) = @_;
    AI::MXNet::Logging->warning(
        'Constant parameter "%s" does not support grad_req other than "null", and new value "%s" is ignored.',
        $self->name, $req)
        if @_ > 1
        and $req ne 'null';
    return 'null';
}

# Text cannot hold the value.
sub _init_of_var { return }

no Mouse;

# Gives the parameter the constant's value.
package AI::MXNet::Gluon::Constant::Init;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Initializer';

has value => (is => 'ro', required => 1);

sub _init_weight
{
    my ($self, $name, $array) = @_;
    $array->set($self->{value});
    return;
}

no Mouse;

1;

__END__

=head1 NAME

AI::MXNet::Gluon::Constant - a parameter that is never trained

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $offset = AI::MXNet::Gluon::Constant->new('offset', [1, 2, 3]);
    $offset->initialize;
    print "$offset\n", $offset->data->aspdl;

=head1 DESCRIPTION

An L<AI::MXNet::Gluon::Parameter> with a value from the start and without a gradient. A block gets one with
C<< $self->params->get_constant($name, $value) >>; it is saved and loaded with the others.

=cut
