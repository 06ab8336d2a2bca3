package AI::MXNet::Optimizer::Adaptive;
use 5.014;
use strict;
use warnings;

# Optimizers whose steps adapt to the past of each gradient: AI::MXNet::Adam and its relatives.

sub _states
{
    my ($weight, $count, $stype) = @_;
    return [map { AI::MXNet::Optimizer::_zeros($weight, $stype) } 1 .. $count];
}

package AI::MXNet::Adam;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer';

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

sub update
{
    my ($self, $index, $weight, $grad, $state) = @_;
    my $lr = $self->_get_lr($index);
    $self->_update_count($index);
    my $t = $self->{_index_update_count}{$index};
    my %with = $self->_step($lr * sqrt(1 - $self->{beta2}**$t) / (1 - $self->{beta1}**$t), $index);
    @with{qw(beta1 beta2 epsilon)} = @{$self}{qw(beta1 beta2 epsilon)};
    my $lazy = $state->[0]->stype eq $weight->stype;
    return AI::MXNet::Optimizer::_run('adam_update', $lazy, $weight, $grad, $state, \%with);
}

__PACKAGE__->register;

package AI::MXNet::AdaGrad;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer';

has eps => (is => 'rw', isa => 'Num', default => 1e-7);

# Sum of the squares of the gradient.
sub create_state
{
    my ($self, $index, $weight) = @_;
    return AI::MXNet::Optimizer::_zeros($weight, $weight->stype);
}

sub update
{
    my ($self, $index, $weight, $grad, $state) = @_;
    my %with = ($self->_step($self->_get_lr($index), $index), epsilon => $self->{eps});
    $self->_update_count($index);
    return AI::MXNet::Optimizer::_run('_sparse_adagrad_update', 1, $weight, $grad, [$state], \%with);
}

__PACKAGE__->register;

package AI::MXNet::RMSProp;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer';

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

sub update
{
    my ($self, $index, $weight, $grad, $state) = @_;
    my %with = $self->_step($self->_get_lr($index), $index);
    $self->_update_count($index);
    @with{qw(gamma1 epsilon)} = @{$self}{qw(gamma1 epsilon)};
    $with{gamma2} = $self->{gamma2} if $self->{centered};
    $with{clip_weights} = $self->{clip_weights} if $self->{clip_weights};
    my $operator = $self->{centered} ? 'rmspropalex_update' : 'rmsprop_update';
    return AI::MXNet::Optimizer::_run($operator, 0, $weight, $grad, $state, \%with);
}

__PACKAGE__->register;

package AI::MXNet::AdaDelta;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer';

has rho => (is => 'rw', isa => 'Num', default => 0.9);
has epsilon => (is => 'rw', isa => 'Num', default => 1e-5);

# Mean squares of the gradient and of the steps.
sub create_state
{
    my ($self, $index, $weight) = @_;
    return AI::MXNet::Optimizer::Adaptive::_states($weight, 2);
}

# Its steps have no learning rate.
sub update
{
    my ($self, $index, $weight, $grad, $state) = @_;
    my %with = $self->_step(0, $index);
    delete $with{lr};
    $self->_update_count($index);
    @with{qw(rho epsilon)} = @{$self}{qw(rho epsilon)};
    return AI::MXNet::Optimizer::_run('_adadelta_update', 0, $weight, $grad, $state, \%with);
}

__PACKAGE__->register;

package AI::MXNet::Ftrl;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer';

has '+learning_rate' => (default => 0.1);
has lamda1 => (is => 'rw', isa => 'Num', default => 0.01);
has beta => (is => 'rw', isa => 'Num', default => 1);

# z and n of the operator.
sub create_state
{
    my ($self, $index, $weight) = @_;
    return AI::MXNet::Optimizer::Adaptive::_states($weight, 2, $weight->stype);
}

sub update
{
    my ($self, $index, $weight, $grad, $state) = @_;
    $self->_update_count($index);
    my %with = $self->_step($self->_get_lr($index), $index);
    @with{qw(lamda1 beta)} = @{$self}{qw(lamda1 beta)};
    return AI::MXNet::Optimizer::_run('ftrl_update', 1, $weight, $grad, $state, \%with);
}

__PACKAGE__->register;

package AI::MXNet::FTML;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer';

has beta1 => (is => 'rw', isa => 'Num', default => 0.6);
has beta2 => (is => 'rw', isa => 'Num', default => 0.999);
has epsilon => (is => 'rw', isa => 'Num', default => 1e-8);

# d, v and z of the operator.
sub create_state
{
    my ($self, $index, $weight) = @_;
    return AI::MXNet::Optimizer::Adaptive::_states($weight, 3);
}

sub update
{
    my ($self, $index, $weight, $grad, $state) = @_;
    my %with = $self->_step($self->_get_lr($index), $index);
    my $t = $self->_update_count($index);
    @with{qw(beta1 beta2 epsilon)} = @{$self}{qw(beta1 beta2 epsilon)};
    $with{t} = $t;
    $with{clip_grad} = delete $with{clip_gradient} if exists $with{clip_gradient};
    return AI::MXNet::Optimizer::_run('ftml_update', 0, $weight, $grad, $state, \%with);
}

__PACKAGE__->register;

package AI::MXNet::Adamax;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer';

has '+learning_rate' => (default => 0.002);
has beta1 => (is => 'rw', isa => 'Num', default => 0.9);
has beta2 => (is => 'rw', isa => 'Num', default => 0.999);

# Mean and greatest magnitude of the gradient.
sub create_state
{
    my ($self, $index, $weight) = @_;
    return AI::MXNet::Optimizer::Adaptive::_states($weight, 2);
}

sub update
{
    my ($self, $index, $weight, $grad, $state) = @_;
    my $lr = $self->_get_lr($index);
    $self->_update_count($index);
    my $t = $self->{_index_update_count}{$index};
    my %with = $self->_step($lr / (1 - $self->{beta1}**$t), $index);
    @with{qw(beta1 beta2)} = @{$self}{qw(beta1 beta2)};
    return AI::MXNet::Optimizer::_run('_adamax_update', 0, $weight, $grad, $state, \%with);
}

__PACKAGE__->register;

package AI::MXNet::Nadam;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer';

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

sub update
{
    my ($self, $index, $weight, $grad, $state) = @_;
    my %with = $self->_step($self->_get_lr($index), $index);
    $self->_update_count($index);
    my $t = $self->{_index_update_count}{$index};
    my ($now, $next) = map { $self->{beta1} * (1 - 0.5 * 0.96**($_ * $self->{schedule_decay})) } $t, $t + 1;
    my $product = $self->{m_schedule}{$index} = ($self->{m_schedule}{$index} // 1) * $now;
    @with{qw(beta1 beta2 epsilon)} = @{$self}{qw(beta1 beta2 epsilon)};
    $with{grad_factor} = (1 - $now) / (1 - $product);
    $with{mean_factor} = $next / (1 - $product * $next);
    $with{var_factor} = 1 / (1 - $self->{beta2}**$t);
    return AI::MXNet::Optimizer::_run('_nadam_update', 0, $weight, $grad, $state, \%with);
}

__PACKAGE__->register;

1;
