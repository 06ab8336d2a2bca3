package AI::MXNet::Optimizer::Adaptive;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Optimizer::ByOperator;

# Optimizers whose steps adapt to the past of each gradient: AI::MXNet::Adam and its relatives.

sub _states
{
    my ($weight, $count, $stype) = @_;
    return [map { AI::MXNet::Optimizer::_zeros($weight, $stype) } 1 .. $count];
}

package AI::MXNet::Adam;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer::ByOperator';

has '+learning_rate' => (default => 0.001);
has beta1 => (is => 'rw', isa => 'Num', default => 0.9);
has beta2 => (is => 'rw', isa => 'Num', default => 0.999);
has epsilon => (is => 'rw', isa => 'Num', default => 1e-8);
has lazy_update => (is => 'rw', isa => 'Bool', default => 1);

# Mean and mean square of the gradient.
sub create_state
{
    my ($self, $index, $weight) = @_;
    return AI::MXNet::Optimizer::Adaptive::_states($weight, 2, $self->{lazy_update} ? $weight->stype : 'default');
}

sub _operator { return (adam_update => @{ $_[1] }) }

sub _constants_of
{
    my $self = shift;
    return map { $_ => $self->{$_} } qw(beta1 beta2 epsilon);
}
sub _is_lazy { my ($self, $weight, $mean) = @_; return $mean->stype eq $weight->stype }

# The rate makes good for means that began with 0.
sub _numbers
{
    my ($self, $index) = @_;
    my $lr = $self->_get_lr($index);
    $self->_update_count($index);
    my $t = $self->{_index_update_count}{$index};
    return (
        lr => $lr * sqrt(1 - $self->{beta2}**$t) / (1 - $self->{beta1}**$t),
        wd => $self->_get_wd($index)
    );
}

__PACKAGE__->register;

package AI::MXNet::AdaGrad;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer::ByOperator';

has eps => (is => 'rw', isa => 'Num', default => 1e-7);

# Sum of the squares of the gradient.
sub create_state
{
    my ($self, $index, $weight) = @_;
    return AI::MXNet::Optimizer::_zeros($weight, $weight->stype);
}

sub _operator { return (_sparse_adagrad_update => $_[1]) }
sub _constants_of { return (epsilon => $_[0]{eps}) }
sub _is_lazy { return 1 }

__PACKAGE__->register;

package AI::MXNet::RMSProp;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer::ByOperator';

has '+learning_rate' => (default => 0.001);
has [qw(gamma1 gamma2)] => (is => 'rw', isa => 'Num', default => 0.9);
has epsilon => (is => 'rw', isa => 'Num', default => 1e-8);
has centered => (is => 'rw', isa => 'Bool', default => 0);
has clip_weights => (is => 'rw', isa => 'Maybe[Num]');

# Mean square; centred: mean square, mean and last step.
sub create_state
{
    my ($self, $index, $weight) = @_;
    return AI::MXNet::Optimizer::Adaptive::_states($weight, $self->{centered} ? 3 : 1, $weight->stype);
}

sub _operator
{
    my ($self, $state) = @_;
    return (@$state > 1 ? 'rmspropalex_update' : 'rmsprop_update', @$state);
}

sub _constants_of
{
    my ($self, $operator) = @_;
    my @names = ('gamma1', 'epsilon', $operator eq 'rmspropalex_update' ? 'gamma2' : ());
    push @names, 'clip_weights' if $self->{clip_weights};
    return map { $_ => $self->{$_} } @names;
}

__PACKAGE__->register;

package AI::MXNet::AdaDelta;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer::ByOperator';

has rho => (is => 'rw', isa => 'Num', default => 0.9);
has epsilon => (is => 'rw', isa => 'Num', default => 1e-5);

# Mean squares of the gradient and of the steps.
sub create_state
{
    my ($self, $index, $weight) = @_;
    return AI::MXNet::Optimizer::Adaptive::_states($weight, 2);
}

# Its steps have no learning rate.
sub _operator { return (_adadelta_update => @{ $_[1] }) }
sub _constants_of { return (rho => $_[0]{rho}, epsilon => $_[0]{epsilon}) }

# Its steps have no learning rate.
sub _numbers
{
    my ($self, $index) = @_;
    $self->_update_count($index);
    return (wd => $self->_get_wd($index));
}

__PACKAGE__->register;

package AI::MXNet::Ftrl;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer::ByOperator';

has '+learning_rate' => (default => 0.1);
has lamda1 => (is => 'rw', isa => 'Num', default => 0.01);
has beta => (is => 'rw', isa => 'Num', default => 1);

# z and n of the operator.
sub create_state
{
    my ($self, $index, $weight) = @_;
    return AI::MXNet::Optimizer::Adaptive::_states($weight, 2, $weight->stype);
}

sub _operator { return (ftrl_update => @{ $_[1] }) }
sub _constants_of { return (lamda1 => $_[0]{lamda1}, beta => $_[0]{beta}) }
sub _is_lazy { return $_[1]->stype eq 'row_sparse' }

sub _counts_first { return 1 }

__PACKAGE__->register;

package AI::MXNet::FTML;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer::ByOperator';

has beta1 => (is => 'rw', isa => 'Num', default => 0.6);
has beta2 => (is => 'rw', isa => 'Num', default => 0.999);
has epsilon => (is => 'rw', isa => 'Num', default => 1e-8);

# d, v and z of the operator.
sub create_state
{
    my ($self, $index, $weight) = @_;
    return AI::MXNet::Optimizer::Adaptive::_states($weight, 3);
}

sub _operator { return (ftml_update => @{ $_[1] }) }

sub _constants
{
    my $self = shift;
    return (
        rescale_grad => $self->{rescale_grad},
        $self->{clip_gradient} ? (clip_grad => $self->{clip_gradient}) : (),
        map { $_ => $self->{$_} } qw(beta1 beta2 epsilon)
    );
}

sub _numbers
{
    my ($self, $index) = @_;
    my @numbers = (lr => $self->_get_lr($index), wd => $self->_get_wd($index));
    return (@numbers, t => $self->_update_count($index));
}

__PACKAGE__->register;

package AI::MXNet::Adamax;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer::ByOperator';

has '+learning_rate' => (default => 0.002);
has beta1 => (is => 'rw', isa => 'Num', default => 0.9);
has beta2 => (is => 'rw', isa => 'Num', default => 0.999);

# Mean and greatest magnitude of the gradient.
sub create_state
{
    my ($self, $index, $weight) = @_;
    return AI::MXNet::Optimizer::Adaptive::_states($weight, 2);
}

sub _operator { return (_adamax_update => @{ $_[1] }) }
sub _constants_of { return (beta1 => $_[0]{beta1}, beta2 => $_[0]{beta2}) }

sub _numbers
{
    my ($self, $index) = @_;
    my $lr = $self->_get_lr($index);
    $self->_update_count($index);
    return (lr => $lr / (1 - $self->{beta1}**$self->{_index_update_count}{$index}), wd => $self->_get_wd($index));
}

__PACKAGE__->register;

package AI::MXNet::Nadam;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer::ByOperator';

has '+learning_rate' => (default => 0.001);
has beta1 => (is => 'rw', isa => 'Num', default => 0.9);
has beta2 => (is => 'rw', isa => 'Num', default => 0.999);
has epsilon => (is => 'rw', isa => 'Num', default => 1e-8);
has schedule_decay => (is => 'rw', isa => 'Num', default => 0.004);

# Products of the momenta so far, for each index.
has m_schedule => (is => 'rw', isa => 'HashRef', init_arg => undef, default => sub { +{} });

# Mean and mean square of the gradient.
sub create_state
{
    my ($self, $index, $weight) = @_;
    return AI::MXNet::Optimizer::Adaptive::_states($weight, 2);
}

sub _operator { return (_nadam_update => @{ $_[1] }) }

sub _constants_of
{
    my $self = shift;
    return map { $_ => $self->{$_} } qw(beta1 beta2 epsilon);
}

sub _numbers
{
    my ($self, $index) = @_;
    my @numbers = (lr => $self->_get_lr($index), wd => $self->_get_wd($index));
    $self->_update_count($index);
    my $t = $self->{_index_update_count}{$index};
    my ($now, $next) = map { $self->{beta1} * (1 - 0.5 * 0.96**($_ * $self->{schedule_decay})) } $t, $t + 1;
    my $product = $self->{m_schedule}{$index} = ($self->{m_schedule}{$index} // 1) * $now;
    return (
        @numbers,
        grad_factor => (1 - $now) / (1 - $product),
        mean_factor => $next / (1 - $product * $next),
        var_factor => 1 / (1 - $self->{beta2}**$t)
    );
}

__PACKAGE__->register;

1;
